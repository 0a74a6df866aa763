"""Whether a model is to be retrained now: by its calendar. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .calendar import Calendar
from .occurrences import OccurrenceRecord


@dataclass(frozen=True, slots=True)
class Fired:
    """Retrain now, for this occurrence."""

    reason: str
    occurrence_id: str
    due_at: datetime
    missed: tuple[str, ...] = ()  # older occurrences that this one stands in for


@dataclass(frozen=True, slots=True)
class NotFired:
    """Nothing to do."""

    reason: str


def evaluate(
    calendar: Calendar, now: datetime, last_finished: OccurrenceRecord | None, *, has_champion: bool
) -> Fired | NotFired:
    """Fires for the latest due occurrence unless that one is finished. Missed nights collapse into it.

    Args:
        last_finished: the latest occurrence with an outcome other than skipped; None before the first.
        has_champion: whether a version was promoted before.
    """
    due = calendar.latest_due(now)
    occurrence_id = calendar.occurrence_id(due)
    # Ids are dates and sort as such. One later than due: the clock was set back, and this one is done too.
    if last_finished is not None and last_finished.occurrence_id >= occurrence_id:
        return _done(last_finished)
    missed = _missed(calendar, last_finished, due)
    why = _why(missed, is_first=last_finished is None, has_champion=has_champion)
    return Fired(f"due {calendar.show(due)}{why}", occurrence_id, due, missed)


def _done(last: OccurrenceRecord) -> NotFired:
    run = f", run {last.run_id}" if last.run_id else ""
    return NotFired(f"the retraining of {last.occurrence_id} is done ({last.outcome}{run})")


def _missed(calendar: Calendar, last: OccurrenceRecord | None, due: datetime) -> tuple[str, ...]:
    if last is None:
        return ()
    after = calendar.due_at(last.occurrence_id)
    return tuple(calendar.occurrence_id(moment) for moment in calendar.missed_between(after, due))


def _why(missed: tuple[str, ...], *, is_first: bool, has_champion: bool) -> str:
    if is_first:
        return ": first retraining" + ("" if has_champion else ", no champion yet")
    if not missed:
        return ""
    which = missed[0] if len(missed) == 1 else f"{missed[0]} to {missed[-1]}"
    return f"; stands in for {len(missed)} missed ({which})"
