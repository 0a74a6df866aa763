"""What is remembered of each night, and the contract of the store that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class OccurrenceOutcome(StrEnum):
    """How an occurrence ended."""

    PROMOTED = "promoted"  # its model became the champion
    KEPT = "kept"  # trained, but the gate kept the champion
    FAILED = "failed"  # the run failed, was stopped or cancelled, or its checkpoint was unusable
    REFUSED = "refused"  # not admitted: budget or deadline; nothing was started
    SKIPPED = "skipped"  # missed; a later occurrence stands in for it


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due retraining of a model, about to run."""

    model: str
    id: str  # scheduled local date, "2026-11-23"
    due_at: datetime
    run_id: str  # decided before the run is submitted, so that a crash in between cannot lead to two runs


@dataclass(frozen=True, slots=True)
class OccurrenceRecord:
    """What is stored of an occurrence. Without an outcome it has begun and not finished."""

    model: str
    occurrence_id: str
    run_id: str  # its last run; "" for one that was skipped and never began
    begun_at: datetime  # when the record was made; of one opened again, when that was
    finished_at: datetime | None = None
    outcome: OccurrenceOutcome | None = None
    reason: str = ""


class OccurrenceStore(Protocol):
    """Remembers occurrences, keyed by model and occurrence id. Each call is one transaction.

    The caller holds the model's lock, so no two processes change one model's occurrences at once.
    """

    def get(self, model: str, occurrence_id: str) -> OccurrenceRecord | None: ...

    def begin(self, model: str, occurrence_id: str, run_id: str, now: datetime) -> None:
        """Record that ``run_id`` is to serve this occurrence.

        Repeating it changes nothing. A finished or skipped occurrence is opened again if ``run_id`` is new to it: its
        outcome, reason and finish time are cleared.

        Raises:
            StoreError: another run has begun and not finished it, or this same run has finished it.
        """
        ...

    def finish(self, model: str, occurrence_id: str, outcome: OccurrenceOutcome, reason: str, now: datetime) -> None:
        """Record how it ended. Repeating it with the same outcome changes nothing.

        Raises:
            StoreError: it never began, or ended with another outcome.
        """
        ...

    def skip(self, model: str, occurrence_id: str, reason: str, now: datetime) -> None:
        """Record that it was missed and why. Changes nothing where a record exists."""
        ...

    def last_finished(self, model: str) -> OccurrenceRecord | None:
        """The one with the greatest id among those with an outcome other than ``SKIPPED``."""
        ...

    def unfinished(self, model: str) -> OccurrenceRecord | None:
        """The one with the smallest id among those that have begun and not finished."""
        ...
