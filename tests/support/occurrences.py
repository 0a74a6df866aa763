"""An occurrence store in memory. The contract suite runs against it as against the real one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from spotwise.scheduler.core.errors import StoreError
from spotwise.scheduler.retraining.occurrences import OccurrenceOutcome, OccurrenceRecord


class MemoryOccurrences:
    def __init__(self) -> None:
        self.records: dict[tuple[str, str], OccurrenceRecord] = {}

    def get(self, model: str, occurrence_id: str) -> OccurrenceRecord | None:
        return self.records.get((model, occurrence_id))

    def begin(self, model: str, occurrence_id: str, run_id: str, now: datetime) -> None:
        record = self.get(model, occurrence_id)
        if record is not None and record.outcome is None and record.run_id != run_id:
            raise StoreError(f"{model} {occurrence_id}: run {record.run_id} has begun and not finished")
        if record is not None and record.outcome is not None and record.run_id == run_id:
            raise StoreError(f"{model} {occurrence_id}: run {run_id} has finished it")
        if record is None or record.outcome is not None:
            self.records[model, occurrence_id] = OccurrenceRecord(model, occurrence_id, run_id, now)

    def finish(self, model: str, occurrence_id: str, outcome: OccurrenceOutcome, reason: str, now: datetime) -> None:
        record = self.get(model, occurrence_id)
        if record is None or record.outcome not in (None, outcome):
            raise StoreError(f"{model} {occurrence_id}: cannot end as {outcome}, it is {record}")
        if record.outcome is None:
            self.records[model, occurrence_id] = replace(record, finished_at=now, outcome=outcome, reason=reason)

    def skip(self, model: str, occurrence_id: str, reason: str, now: datetime) -> None:
        record = OccurrenceRecord(model, occurrence_id, "", now, now, OccurrenceOutcome.SKIPPED, reason)
        self.records.setdefault((model, occurrence_id), record)

    def last_finished(self, model: str) -> OccurrenceRecord | None:
        done = [r for r in self._of(model) if r.outcome not in (None, OccurrenceOutcome.SKIPPED)]
        return done[-1] if done else None

    def unfinished(self, model: str) -> OccurrenceRecord | None:
        return next((r for r in self._of(model) if r.outcome is None), None)

    def _of(self, model: str) -> list[OccurrenceRecord]:
        return sorted((r for r in self.records.values() if r.model == model), key=lambda r: r.occurrence_id)
