"""What an observation makes of an attempt, and what an ended attempt makes of its run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spotwise.checkpoints import EXIT_PREEMPTED

from ..core.kept_work import KeptWork
from ..core.run import Attempt, AttemptState, Run, RunState
from ..core.text import counted
from ..engines.base import Observation, Phase
from ..node_agent.end_cause import EndCause

_CRASHES = frozenset({AttemptState.FAILED, AttemptState.LOST})
_NEVER_UP = frozenset({EndCause.LAUNCH_FAILED, EndCause.UNLAUNCHABLE})  # unless the engine says when it was up
# Trying again changes nothing. The exit codes are a shell's for "not executable" and "no such command".
_HOPELESS_CAUSES = frozenset({EndCause.SETUP_FAILED, EndCause.UNLAUNCHABLE})
_LARGEST_SKEW = timedelta(days=1)  # between two machines' clocks: more is a clock that was never set
HOPELESS_EXIT_CODES = frozenset({126, 127})


@dataclass(frozen=True, slots=True)
class Transition:
    """What becomes of a run whose last attempt has ended; ``state`` None: place it again."""

    state: RunState | None
    reason: str


def left_with_0_when_told(seen: Observation) -> bool:
    """Whether a program ended with exit code 0 after a notice, or a request to leave.

    Some libraries leave so on SIGTERM, with most of the work to do: then 0 alone says nothing.
    """
    is_told = seen.cause is not EndCause.EXITED or seen.notice_at is not None
    return seen.phase is Phase.ENDED and seen.exit_code == 0 and is_told


def observed(attempt: Attempt, seen: Observation, now: datetime, *, is_done: bool = False) -> Attempt:
    """The attempt with what the engine saw of it.

    Args:
        is_done: whether all work is known to be done; asked where ``left_with_0_when_told``.

    The machine's own times win over ours, unless they are off by more than clocks are. They are kept in order, since
    the clocks of two machines may disagree.
    """
    launched = _credible(seen.launched_at, attempt, now) or attempt.launched_at
    started = attempt.started_at
    if seen.started_at is not None:
        started = max(_credible(seen.started_at, attempt, now) or launched, launched)
    known = _landed(attempt, seen).evolve(launched_at=launched, started_at=started)
    if seen.phase is not Phase.ENDED:
        running = seen.phase is Phase.RUNNING
        return known.evolve(state=AttemptState.RUNNING if running else attempt.state)
    ended = max(_credible(seen.ended_at, attempt, now) or now, started or launched, launched)
    state, reason = outcome(attempt, seen, is_done=is_done)
    if state is AttemptState.REFUSED or (seen.cause in _NEVER_UP and seen.launched_at is None):
        ended = launched  # nothing came up, nothing is billed
    return known.evolve(state=state, ended_at=ended, end_cause=seen.cause, end_reason=reason, exit_code=seen.exit_code)


def _credible(moment: datetime | None, attempt: Attempt, now: datetime) -> datetime | None:
    """What a machine said of when something happened to it; None where that cannot be."""
    if moment is None or not attempt.launched_at - _LARGEST_SKEW <= moment <= now + _LARGEST_SKEW:
        return None
    return moment


def _landed(attempt: Attempt, seen: Observation) -> Attempt:
    """In the zone where its machines came up, at the price there: the offer's may be that of a cheaper one."""
    offer, price = attempt.offer, seen.price_usd_per_hour
    zone = seen.zone or attempt.landed_zone
    if price is not None and price != offer.price_usd_per_hour:
        on_demand = offer.on_demand_usd_per_hour if offer.is_spot else price
        source = f"price in {zone or offer.pool.place}, found when it was up"
        offer = replace(offer, price_usd_per_hour=price, on_demand_usd_per_hour=on_demand, source=source)
    return attempt.evolve(offer=offer, landed_zone=zone)


def outcome(attempt: Attempt, seen: Observation, *, is_done: bool = False) -> tuple[AttemptState, str]:
    """How an attempt ended, with the reason that a person reads."""
    code, place = seen.exit_code, attempt.offer.key
    match _cause(seen, is_done=is_done):
        case EndCause.NO_CAPACITY:
            found = AttemptState.REFUSED, seen.message or f"no capacity in {place}"
        case EndCause.NOT_OFFERED:
            found = AttemptState.REFUSED, seen.message or f"{place} does not take this job"
        case EndCause.WITHDRAWN:
            found = AttemptState.REFUSED, seen.message or "given up before a machine was there"
        case EndCause.PREEMPTED:
            found = AttemptState.PREEMPTED, f"{place} took the capacity back; the program left{_left(code)}"
        case EndCause.TERMINATED if attempt.migrating:
            found = AttemptState.MIGRATED, "ended by spotwise to continue elsewhere"
        case EndCause.TERMINATED:
            found = AttemptState.CANCELLED, "ended by spotwise"
        case EndCause.VANISHED:
            found = AttemptState.LOST, seen.message or f"the machine in {place} went away without a word"
        case EndCause.SETUP_FAILED:
            found = AttemptState.FAILED, f"setup failed with exit code {code}"
        case EndCause.LAUNCH_FAILED:
            found = AttemptState.FAILED, seen.message or f"{place} could not be brought up"
        case EndCause.UNLAUNCHABLE:
            found = AttemptState.FAILED, f"it cannot be launched: {seen.message}"
        case _:
            found = _exited(code)
    return found


def nowhere(reason: str, attempts: Sequence[Attempt]) -> Transition:
    """No placement is possible, and where places refused what was asked for, the last one's answer says more."""
    refused = next((a for a in reversed(attempts) if a.end_cause is EndCause.NOT_OFFERED), None)
    last = "" if refused is None else f"; {refused.offer.key} answered: {refused.end_reason}"
    return Transition(RunState.FAILED, f"no placement is possible: {reason}{last}")


def _cause(seen: Observation, *, is_done: bool) -> EndCause | None:
    """Why it ended, with what is known of its work: a node knows only what was asked of it."""
    if not left_with_0_when_told(seen):
        return seen.cause
    if is_done:
        return EndCause.EXITED
    return EndCause.PREEMPTED if seen.cause is EndCause.EXITED else seen.cause  # an older node said it so


def _left(code: int | None) -> str:
    if code == 0:
        return " with exit code 0, its work not known to be done"
    return " after saving a checkpoint" if code == EXIT_PREEMPTED else ""


def _exited(code: int | None) -> tuple[AttemptState, str]:
    if code == 0:
        return AttemptState.COMPLETED, "the command ended with exit code 0"
    if code == EXIT_PREEMPTED:
        return AttemptState.LOST, f"the program saved and left with exit code {code}, but nobody here asked it to"
    return AttemptState.FAILED, _crash(code)


def after(run: Run, attempts: Sequence[Attempt], crash_limit: int) -> Transition:
    """What becomes of a run after its last attempt ended."""
    last = attempts[-1]
    if last.state is AttemptState.COMPLETED:
        return Transition(RunState.COMPLETED, f"all work is done after {counted(len(attempts), 'attempt')}")
    if run.cancel_requested:
        return Transition(RunState.CANCELLED, "cancelled by request")
    if run.budget_spent:
        where = "at a checkpoint" if any(attempt.kept for attempt in attempts) else "with nothing kept"
        return Transition(RunState.STOPPED, f"stopped {where}: {run.end_reason or 'the budget is spent'}")
    if last.state in _CRASHES:
        return _after_crash(attempts, crash_limit)
    return Transition(None, last.end_reason)


def last_of_each_host(run: Run, attempts: Sequence[Attempt]) -> list[Attempt | None]:
    """The newest attempt of each host; None where it never had one."""
    newest = {attempt.host: attempt for attempt in attempts}
    return [newest.get(host) for host in range(run.hosts)]


def of_all_hosts(run: Run, attempts: Sequence[Attempt], crash_limit: int) -> Transition:
    """What becomes of a run, by the hosts whose last attempt has ended; ``state`` None: it goes on.

    It is completed when all hosts are. Whatever else ends one host for good ends the run.
    """
    last = last_of_each_host(run, attempts)
    if run.cancel_requested and not attempts:
        return Transition(RunState.CANCELLED, "cancelled before it was placed")
    ended = [host for host, attempt in enumerate(last) if attempt is not None and attempt.state.is_final]
    transitions = [after(run, [a for a in attempts if a.host == host], crash_limit) for host in ended]
    final = [v for v in transitions if v.state not in (None, RunState.COMPLETED)]
    if final:
        return final[0]
    if len(ended) == run.hosts and all(transition.state is RunState.COMPLETED for transition in transitions):
        return Transition(RunState.COMPLETED, f"all work is done after {counted(len(attempts), 'attempt')}")
    return Transition(None, transitions[0].reason if transitions else "")


def crashes_without_progress(attempts: Sequence[Attempt]) -> int:
    """How many attempts in a row, counted from the last, crashed or were lost without more work kept than before.

    A machine that is lost each time is no accident: the program may have brought it down.
    """
    crashes = 0
    kept = [KeptWork(), *(attempt.kept for attempt in attempts)]
    for i in range(len(attempts) - 1, -1, -1):
        if attempts[i].state is AttemptState.REFUSED:
            continue
        if attempts[i].state not in _CRASHES:
            break
        crashes += 1
        if kept[i + 1] > max(kept[: i + 1]):
            break
    return crashes


def _after_crash(attempts: Sequence[Attempt], crash_limit: int) -> Transition:
    last = attempts[-1]
    if last.exit_code in HOPELESS_EXIT_CODES or last.end_cause in _HOPELESS_CAUSES:
        return Transition(RunState.FAILED, f"{last.end_reason}; trying again would not help")
    crashes = crashes_without_progress(attempts)
    if crashes >= crash_limit:
        return Transition(
            RunState.FAILED, f"{counted(crashes, 'crash', 'crashes')} in a row without progress: {last.end_reason}"
        )
    return Transition(None, f"{last.end_reason} ({crashes} of {crash_limit} crashes allowed without progress)")


def _crash(code: int | None) -> str:
    if code is None:
        return "the program ended and its exit code is not known"
    if code == 127:
        return "a command in `run` was not found (exit code 127)"
    if code == 126:
        return "a command in `run` cannot be executed (exit code 126)"
    if code > 128:
        return f"the program was killed by signal {code - 128} (exit code {code})"
    return f"the program crashed with exit code {code}"
