"""Triggers decide whether a model is to be retrained now. Pure: they see a state and name a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .calendar import Calendar
from .occurrences import OccurrenceRecord


@dataclass(frozen=True, slots=True)
class TriggerState:
    """All a trigger may look at."""

    now: datetime
    champion: str | None  # the version promoted last; None before the first promotion
    last_finished: OccurrenceRecord | None  # the latest occurrence with an outcome other than skipped


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
    next_due_at: datetime | None = None  # None: nobody can say


class Trigger(Protocol):
    """Says when to retrain: by calendar; later by data drift or a metric's decay."""

    def evaluate(self, state: TriggerState) -> Fired | NotFired: ...


@dataclass(frozen=True, slots=True)
class CalendarTrigger:
    """Fires for the latest due occurrence unless that one is finished. Missed nights collapse into it."""

    calendar: Calendar

    def evaluate(self, state: TriggerState) -> Fired | NotFired:
        due = self.calendar.latest_due(state.now)
        last = state.last_finished
        occurrence_id = self.calendar.occurrence_id(due)
        # Ids are dates and sort as such. One later than due: the clock was set back, and this one is done too.
        if last is not None and last.occurrence_id >= occurrence_id:
            return self._done(last, state.now)
        missed = self._missed(last, due)
        return Fired(self._why(due, missed, state), occurrence_id, due, missed)

    def _done(self, last: OccurrenceRecord, now: datetime) -> NotFired:
        next_due = self.calendar.next_due(now)
        run = f", run {last.run_id}" if last.run_id else ""
        return NotFired(f"the retraining of {last.occurrence_id} is done ({last.outcome}{run})", next_due)

    def _missed(self, last: OccurrenceRecord | None, due: datetime) -> tuple[str, ...]:
        if last is None:
            return ()
        after = self.calendar.due_at(last.occurrence_id)
        return tuple(self.calendar.occurrence_id(moment) for moment in self.calendar.missed_between(after, due))

    def _why(self, due: datetime, missed: tuple[str, ...], state: TriggerState) -> str:
        reason = f"due {self.calendar.show(due)}"
        if state.last_finished is None:
            return f"{reason}: first retraining" + (", no champion yet" if state.champion is None else "")
        if not missed:
            return reason
        which = missed[0] if len(missed) == 1 else f"{missed[0]} to {missed[-1]}"
        return f"{reason}; stands in for {len(missed)} missed ({which})"


def evaluate_all(triggers: Sequence[Trigger], state: TriggerState) -> Fired | NotFired:
    """The first trigger that fires; otherwise all reasons and the earliest next due moment."""
    results = [trigger.evaluate(state) for trigger in triggers]
    for result in results:
        if isinstance(result, Fired):
            return result
    quiet = [result for result in results if isinstance(result, NotFired)]
    known = [result.next_due_at for result in quiet if result.next_due_at is not None]
    return NotFired("; ".join(result.reason for result in quiet) or "no trigger is set", min(known, default=None))
