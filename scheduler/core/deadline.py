"""How a run stands against its deadline: one answer for status, events, reports and exit codes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from .remaining import Remaining
from .run import Run, RunState

IN_DANGER_BELOW = 0.5  # chance to be in time: what is more likely missed than met is said


class DeadlineState(StrEnum):
    """Of a run that has a deadline."""

    OPEN = "open"  # nothing says that it will be missed
    IN_DANGER = "in_danger"  # it will more likely be missed than met
    MET = "met"  # all work was done in time
    MISSED = "missed"  # it was not, or cannot be any more


def deadline_state(run: Run, remaining: Remaining | None, now: datetime) -> DeadlineState | None:
    """Whether the deadline was, is or will be met; None without one.

    Args:
        remaining: what is left, as last estimated; None where nobody knows.
    """
    if run.deadline_at is None:
        return None
    if run.state.is_final:
        met = run.state is RunState.COMPLETED and run.ended_at is not None and run.ended_at <= run.deadline_at
        return DeadlineState.MET if met else DeadlineState.MISSED
    if now > run.deadline_at:
        return DeadlineState.MISSED
    return DeadlineState.IN_DANGER if is_in_danger(remaining) else DeadlineState.OPEN


def is_done_late(run: Run) -> bool:
    """Whether all work was done, but after the deadline."""
    late = run.deadline_at is not None and run.ended_at is not None and run.ended_at > run.deadline_at
    return late and run.state is RunState.COMPLETED


def is_in_danger(remaining: Remaining | None) -> bool:
    """Whether what is left will more likely be late than in time, as last estimated."""
    chance = None if remaining is None else remaining.chance_to_meet_deadline
    return chance is not None and chance < IN_DANGER_BELOW
