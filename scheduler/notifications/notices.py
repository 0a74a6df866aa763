"""What is worth telling, from the history and from how runs stand. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..core.deadline import DeadlineState, deadline_state
from ..core.remaining import Remaining
from ..core.run import AttemptState, Run, RunState
from ..jobfile.notify_spec import NotifiedEvent
from ..store.changes import Change, Subject

BUDGET_STEPS = (50, 80, 100)  # percent
_FINAL = {state.value for state in RunState if state.is_final}
_PREEMPTED = (AttemptState.PREEMPTED.value, AttemptState.LOST.value)


@dataclass(frozen=True, slots=True)
class RunNotice:
    """One thing that happened to a run."""

    key: str  # the same event always has the same
    event: NotifiedEvent
    run_id: str
    at: datetime
    text: str


def notice_of(change: Change) -> RunNotice | None:
    """What a change of the history means to people; None where nobody need be told."""
    if change.run_id is None:
        return None
    found = _event_of(change)
    if found is None:
        return None
    event, key = found
    text = {
        "started": f"{change.run_id} has started",
        "preempted": f"{change.run_id} was preempted: {change.cause}",
        "moved": f"{change.run_id} moves elsewhere: {change.cause}",
        "ended": f"{change.run_id} is {change.after}: {change.cause}",
        "promoted": f"{change.subject_id} was promoted: {change.cause}",
    }[event]
    return RunNotice(f"{event}:{key}", event, change.run_id, change.at, text)


def _event_of(change: Change) -> tuple[NotifiedEvent, str] | None:
    if change.subject is Subject.MODEL:
        promoted = change.field == "promoted" and change.after == "true"
        return ("promoted", change.subject_id) if promoted else None
    if change.field != "state":
        return None
    if change.subject is Subject.RUN:
        return ("ended", change.subject_id) if change.after in _FINAL else None
    return _attempt_event(change) if change.subject is Subject.ATTEMPT else None


def _attempt_event(change: Change) -> tuple[NotifiedEvent, str] | None:
    if change.after == AttemptState.RUNNING.value:
        return "started", str(change.run_id)  # once a run, not with each attempt
    if change.after in _PREEMPTED:
        return "preempted", change.subject_id
    return ("moved", change.subject_id) if change.after == AttemptState.MIGRATED.value else None


def budget_notices(run: Run, spent_usd: Decimal, now: datetime) -> list[RunNotice]:
    """One for the highest share of the budget that is reached."""
    if not run.budget_usd:
        return []
    reached = [step for step in BUDGET_STEPS if spent_usd * 100 >= run.budget_usd * step]
    if not reached:
        return []
    text = f"{run.id} has spent {spent_usd:.2f} of {run.budget_usd:.2f} USD, {reached[-1]} % of its budget or more"
    return [RunNotice(f"budget:{run.id}:{reached[-1]}", "budget", run.id, now, text)]


def deadline_notices(run: Run, remaining: Remaining | None, now: datetime) -> list[RunNotice]:
    """One when the deadline is more likely missed than met, and one when it is missed."""
    state = deadline_state(run, remaining, now)
    if run.deadline_at is None or state not in (DeadlineState.IN_DANGER, DeadlineState.MISSED):
        return []
    what = "is in danger" if state is DeadlineState.IN_DANGER else "is missed"
    text = f"{run.id}: the deadline {run.deadline_at:%Y-%m-%d %H:%M} UTC {what}"
    return [RunNotice(f"deadline:{run.id}:{state.value}", "deadline", run.id, now, text)]
