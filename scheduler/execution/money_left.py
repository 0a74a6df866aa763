"""What a run may still cost: of its own budget, and of its team's month. Reads the store; changes nothing.

A team's budget holds after admission too. A run may take what it has set aside itself, and what nobody has: never what
another run of the team was admitted with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from ..accounting.ledger import cost_of
from ..accounting.team_month import Money, TeamMonth, money_of
from ..core.clock import Clock
from ..core.run import Attempt, AttemptState, Run
from ..engines.base import Engine, LaunchRequest
from ..jobfile.settings import Settings
from ..node_agent.end_cause import EndCause
from ..policies.base import Candidate, Situation, Wait
from ..store import Store

MONTH_S = 0.4  # wall clock; how long a team's month is remembered: within a round of the supervisor
_LOOK_EVERY = 1 / 10  # of a billed hour: how often a run that waits for its team's money looks again
_ZERO = Decimal(0)


class Cap(StrEnum):
    """What bounds the money of a run."""

    RUN = "run"  # its own budget
    TEAM = "team"  # its team's budget of the month
    RESERVED = "reserved"  # the same, less what other runs of the team have set aside: that may become free


@dataclass(frozen=True, slots=True)
class MoneyLeft:
    """What a run may still cost, by the cap that is nearest."""

    usd: Decimal
    cap: Cap
    budget_usd: Decimal  # of the run, or of the team's month
    team: str = ""
    is_untouched: bool = False  # of what the run was admitted with, nothing is spent yet
    is_spent: bool = False  # the last attempt was given all of it, and ended itself when it was used up

    @property
    def budget(self) -> str:
        """For people: which budget it is."""
        if self.cap is Cap.RUN:
            return f"the budget of {self.budget_usd:.2f} USD"
        return f"team {self.team}'s budget of {self.budget_usd:.2f} USD a month"

    @property
    def set_aside(self) -> str:
        """For people: why the run may not take what is there."""
        return f"of {self.budget}, other runs have set aside what is left"

    def until_some_is_free(self, situation: Situation) -> Wait:
        """Hold nothing and look again soon: runs end, and what they have set aside is free."""
        until = situation.now + timedelta(seconds=_LOOK_EVERY * situation.hour_s)
        return Wait(until, f"{self.set_aside}: waiting for it to become free")


class MoneyReader:
    """Answers for one supervisor what its runs may still cost."""

    def __init__(self, store: Store, engine_named: Callable[[str], Engine], settings: Settings, clock: Clock) -> None:
        self._store, self._engine_named = store, engine_named
        self._settings, self._clock = settings, clock
        self._months: dict[tuple[str, Money], tuple[datetime, TeamMonth]] = {}

    def left(self, run: Run, attempts: Sequence[Attempt]) -> MoneyLeft | None:
        """What the run may still cost beyond what its attempts have cost so far; None: nothing bounds it."""
        caps = [cap for cap in (self._own(run, attempts), self._of_team(run)) if cap is not None]
        return min(caps, key=lambda cap: cap.usd, default=None)

    def affordable(
        self, run: Run, attempts: Sequence[Attempt], situation: Situation
    ) -> tuple[Situation, MoneyLeft | None]:
        """The same with the candidates that the money left pays for; where there is none, the cap that is too near.

        It has to pay for a start, the way to a checkpoint and a stop. What is started on less cannot be expected to
        keep anything: the rest of a budget would go there for nothing, again and again. Of a team's money there must be
        as much as a billed hour of work costs, or all work that is left: it becomes free bit by bit, and each bit would
        go into another start. What was admitted may begin.
        """
        left = self.left(run, attempts)
        if left is None or left.is_untouched or not situation.candidates:
            return situation, None
        if left.cap is Cap.RUN and self._was_used_up(run, attempts):
            return replace(situation, candidates=()), replace(left, is_spent=True)
        within = tuple(c for c in situation.candidates if self._needed_usd(c, left, run, situation) < left.usd)
        return replace(situation, candidates=within), None if within else left

    def too_little(self, left: MoneyLeft, run: Run, situation: Situation) -> str:
        """Says why nothing can be started any more, whatever the ``situation`` offers."""
        if left.cap is not Cap.RUN or left.is_spent:
            return f"{left.budget} is spent"
        needed = min(self._needed_usd(candidate, left, run, situation) for candidate in situation.candidates)
        rest = f"{max(left.usd, _ZERO):.2f} USD are left of {left.budget}"
        return (
            f"{rest}: too little to start and reach a checkpoint, which is expected to cost {needed:.2f} USD at least"
        )

    def _was_used_up(self, run: Run, attempts: Sequence[Attempt]) -> bool:
        """Whether the last attempt had all the run's money, and ended itself before a supervisor did.

        Nothing else ends one as spotwise's own request does, but was none. Of several hosts, and under a team's budget,
        each is given a share only: there may be more.
        """
        shared = run.hosts > 1 or self._settings.monthly_budget_usd(run.team) is not None
        last = attempts[-1] if attempts and not shared else None
        return last is not None and last.state is AttemptState.CANCELLED and last.end_cause is EndCause.TERMINATED

    def _needed_usd(self, candidate: Candidate, left: MoneyLeft, run: Run, situation: Situation) -> Decimal:
        hours = candidate.save_hours + self._stopping_s / situation.hour_s
        if left.cap is not Cap.RUN:
            hours = max(hours, candidate.restart_hours + min(1.0, candidate.estimate.work_hours))
        nodes = situation.nodes // run.hosts  # of the one host that would be started
        return candidate.offer.price_usd_per_hour * nodes * Decimal(str(hours))

    def reached(self, run: Run, live: Sequence[Attempt]) -> MoneyLeft | None:
        """The cap whose rest just pays for stopping the live attempts at a checkpoint; None while there is more."""
        own, of_team = self._own(run, live), self._of_team(run)
        if own is not None and own.usd <= self._stopping_usd(live):
            return own
        if of_team is not None and of_team.usd <= self._stopping_usd([*live, *self._overdrawn(run)]):
            return of_team
        return None

    def bounded(self, request: LaunchRequest, run: Run, attempt: Attempt) -> LaunchRequest:
        """With the moment at which its money is spent, so that it stops there though no supervisor lives."""
        stop_after_s, grace_s = self.seconds_paid_for(run, attempt), self._settings.grace.total_seconds()
        if stop_after_s is None:
            return request
        return replace(request, stop_after_s=stop_after_s - grace_s, stop_grace_s=grace_s)

    def seconds_paid_for(self, run: Run, attempt: Attempt) -> float | None:
        """Wall-clock seconds of a new attempt that its host's share of the money pays for; None: no bound, or free.

        Shares are equal, of hosts and of a team's active runs, since each keeps to its own when no supervisor lives.
        """
        a_second = attempt.offer.price_usd_per_hour * attempt.nodes / attempt.hour_s
        if not a_second:
            return None
        own = self._own(run, [each for each in self._store.attempts(run.id) if each.id != attempt.id])
        shares = [None if own is None else own.usd, self._share_of_team(run)]
        bounds = [share for share in shares if share is not None]
        return float(min(bounds) / run.hosts / a_second) if bounds else None

    def forget(self) -> None:
        """Something was started: what was read before holds no longer."""
        self._months.clear()

    def _own(self, run: Run, attempts: Iterable[Attempt]) -> MoneyLeft | None:
        if run.budget_usd is None:
            return None
        running = sum((cost_of(a, self._clock.now()) for a in attempts if not a.state.is_final), _ZERO)
        return MoneyLeft(run.budget_usd - self._store.booked_usd(run.id) - running, Cap.RUN, run.budget_usd)

    def _of_team(self, run: Run) -> MoneyLeft | None:
        budget = self._settings.monthly_budget_usd(run.team)
        if budget is None:
            return None
        month = self._month(run)
        own = month.reserved_usd.get(run.id, _ZERO)
        cap = Cap.RESERVED if sum(month.reserved_usd.values(), _ZERO) > own else Cap.TEAM
        untouched = 0 < run.reserved_usd == own
        return MoneyLeft(month.left_for(run.id, budget), cap, budget, run.team, untouched)

    def _share_of_team(self, run: Run) -> Decimal | None:
        budget = self._settings.monthly_budget_usd(run.team)
        if budget is None:
            return None
        month = self._month(run)
        free = max(budget - month.committed_usd, _ZERO) / max(len(month.reserved_usd), 1)
        return month.reserved_usd.get(run.id, _ZERO) + free

    def _overdrawn(self, run: Run) -> list[Attempt]:
        """Live attempts of the team's other runs that live on what nobody has set aside: they have to stop as well."""
        month = self._month(run)
        return [a for a in month.live if a.run_id != run.id and not month.reserved_usd.get(a.run_id)]

    def _month(self, run: Run) -> TeamMonth:
        now, key = self._clock.now(), (run.team, money_of(self._engine_named(run.engine).cost_basis))
        read_at, month = self._months.get(key, (None, None))
        if month is None or read_at is None or now - read_at > timedelta(seconds=MONTH_S):
            month = self._store.team_month(*key, now)
            self._months[key] = (now, month)
        return month

    @property
    def _stopping_s(self) -> float:
        """Wall-clock seconds from the decision to stop an attempt until it is gone."""
        return (self._settings.grace + 2 * self._settings.tick) / timedelta(seconds=1)

    def _stopping_usd(self, attempts: Iterable[Attempt]) -> Decimal:
        """What attempts cost from the decision to stop them until they are gone."""
        seconds = Decimal(str(self._stopping_s))
        live = (attempt for attempt in attempts if not attempt.state.is_final)
        return sum((a.offer.price_usd_per_hour * a.nodes * seconds / a.hour_s for a in live), _ZERO)
