"""What the store remembers of retraining: occurrences and the gate's judgements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..core.errors import StoreError
from ..retraining.judging import Judgement
from ..retraining.occurrences import OccurrenceOutcome, OccurrenceRecord
from . import tables
from .changes import Subject
from .rows import UnreadableRowError
from .store import Store


class SqlOccurrences:
    """The occurrences of all models, on the store's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, model: str, occurrence_id: str) -> OccurrenceRecord | None:
        table = tables.occurrences
        return self._first(select(table).where(table.c.model == model, table.c.occurrence_id == occurrence_id))

    def begin(self, model: str, occurrence_id: str, run_id: str, now: datetime) -> None:
        known = self.get(model, occurrence_id)
        if known is not None and known.outcome is None and known.run_id == run_id:
            return
        if known is not None and (known.outcome is None or known.run_id == run_id):
            state = "has begun" if known.outcome is None else "has finished"
            raise StoreError(f"{model} {occurrence_id}: run {known.run_id} {state} it, so {run_id} cannot begin it")
        begun = {"run_id": run_id, "begun_at": now, "finished_at": None, "outcome": None, "reason": ""}
        done = self._insert(model, occurrence_id, begun) if known is None else self._change(known, begun)
        if not done:  # another process was faster: judge by what it wrote
            self.begin(model, occurrence_id, run_id, now)

    def finish(self, model: str, occurrence_id: str, outcome: OccurrenceOutcome, reason: str, now: datetime) -> None:
        known = self.get(model, occurrence_id)
        if known is None:
            raise StoreError(f"{model} {occurrence_id} never began: nothing to finish")
        if known.outcome is outcome:
            return
        if known.outcome is not None:
            raise StoreError(f"{model} {occurrence_id} ended {known.outcome.value}: it cannot end {outcome.value} too")
        if not self._change(known, {"outcome": outcome.value, "reason": reason, "finished_at": now}):
            self.finish(model, occurrence_id, outcome, reason, now)

    def skip(self, model: str, occurrence_id: str, reason: str, now: datetime) -> None:
        if self.get(model, occurrence_id) is None:
            moments = {"begun_at": now, "finished_at": now}
            skipped = {"run_id": "", "outcome": OccurrenceOutcome.SKIPPED.value, "reason": reason, **moments}
            self._insert(model, occurrence_id, skipped)

    def last_finished(self, model: str) -> OccurrenceRecord | None:
        table = tables.occurrences
        ended = table.c.outcome.is_not(None) & (table.c.outcome != OccurrenceOutcome.SKIPPED.value)
        return self._first(select(table).where(table.c.model == model, ended).order_by(table.c.occurrence_id.desc()))

    def unfinished(self, model: str) -> OccurrenceRecord | None:
        table = tables.occurrences
        begun = (table.c.model == model) & table.c.outcome.is_(None)
        return self._first(select(table).where(begun).order_by(table.c.occurrence_id))

    def _insert(self, model: str, occurrence_id: str, values: Mapping[str, Any]) -> bool:
        """Whether the row is new; False where another process has inserted it meanwhile."""
        row = {"model": model, "occurrence_id": occurrence_id, **values}
        try:
            with self._store.transaction() as connection:
                connection.execute(insert(tables.occurrences).values(**row))
                self._tell(connection, model, occurrence_id, (None, _state(values["outcome"])), values)
        except IntegrityError:
            return False
        return True

    def _change(self, known: OccurrenceRecord, values: Mapping[str, Any]) -> bool:
        """Whether the row was still as known, and is changed."""
        table = tables.occurrences
        same = (table.c.model == known.model) & (table.c.occurrence_id == known.occurrence_id)
        outcome = None if known.outcome is None else known.outcome.value
        unchanged = same & (table.c.run_id == known.run_id) & table.c.outcome.is_not_distinct_from(outcome)
        with self._store.transaction() as connection:
            done = connection.execute(update(table).where(unchanged).values(**values)).rowcount == 1
            if done:
                states = _state(outcome), _state(values["outcome"])
                self._tell(connection, known.model, known.occurrence_id, states, {"run_id": known.run_id, **values})
            return done

    def _tell(
        self,
        connection: Connection,
        model: str,
        occurrence_id: str,
        states: tuple[str | None, str],
        values: Mapping[str, Any],
    ) -> None:
        self._store.history.append(
            connection,
            Subject.OCCURRENCE,
            f"{model} {occurrence_id}",
            {"state": states},
            cause=values["reason"],
            run_id=values["run_id"] or None,
        )

    def _first(self, query: Select[Any]) -> OccurrenceRecord | None:
        with self._store.transaction(reads=True) as connection:
            row = connection.execute(query.limit(1)).first()
        if row is None:
            return None
        values = dict(row._mapping)
        values["outcome"] = None if values["outcome"] is None else OccurrenceOutcome(values["outcome"])
        return OccurrenceRecord(**values)


def _state(outcome: str | None) -> str:
    """Of an occurrence that is there."""
    return "begun" if outcome is None else outcome


def record_judgement(store: Store, judgement: Judgement) -> None:
    """Keep what the gate said; recording the same model and version again replaces it."""
    table = tables.models
    values = {name: getattr(judgement, name) for name in Judgement.__dataclass_fields__}
    same = (table.c.model == judgement.model) & (table.c.version == judgement.version)
    with store.transaction() as connection:
        before = connection.execute(select(table.c.promoted).where(same)).scalar_one_or_none()
        connection.execute((insert(table) if before is None else update(table).where(same)).values(**values))
        store.history.append(
            connection,
            Subject.MODEL,
            f"{judgement.model} {judgement.version}",
            {"promoted": (before, judgement.promoted)},
            cause=judgement.reason,
            run_id=judgement.version,
        )


def judgements(store: Store) -> list[Judgement]:
    """All judgements, oldest first."""
    query = select(tables.models).order_by(tables.models.c.judged_at, tables.models.c.version)
    with store.transaction(reads=True) as connection:
        found = [dict(row._mapping) for row in connection.execute(query)]
    return store.unreadable.decode("models", found, _judgement_in, run_key="")


def _judgement_in(row: Mapping[str, Any]) -> Judgement:
    if not isinstance(row["judged_at"], datetime):
        raise UnreadableRowError(f"judged_at is {row['judged_at']}")
    return Judgement(**row)
