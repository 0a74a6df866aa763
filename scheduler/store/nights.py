"""What the store remembers of retraining: occurrences and the gate's judgements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update

from ..errors import StoreError
from ..retraining.judging import Judgement
from ..retraining.occurrences import OccurrenceRecord, Outcome
from . import tables
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
        if known is None:
            self._insert(model, occurrence_id, run_id, now)
            return
        if known.outcome is None and known.run_id == run_id:
            return
        if known.outcome is None or known.run_id == run_id:
            state = "has begun" if known.outcome is None else "has finished"
            raise StoreError(f"{model} {occurrence_id}: run {known.run_id} {state} it, so {run_id} cannot begin it")
        self._update(model, occurrence_id, run_id=run_id, begun_at=now, finished_at=None, outcome=None, reason="")

    def finish(self, model: str, occurrence_id: str, outcome: Outcome, reason: str, now: datetime) -> None:
        known = self.get(model, occurrence_id)
        if known is None:
            raise StoreError(f"{model} {occurrence_id} never began: nothing to finish")
        if known.outcome is outcome:
            return
        if known.outcome is not None:
            raise StoreError(f"{model} {occurrence_id} ended {known.outcome.value}: it cannot end {outcome.value} too")
        self._update(model, occurrence_id, outcome=outcome.value, reason=reason, finished_at=now)

    def skip(self, model: str, occurrence_id: str, reason: str, now: datetime) -> None:
        if self.get(model, occurrence_id) is None:
            self._insert(model, occurrence_id, "", now, outcome=Outcome.SKIPPED.value, reason=reason)

    def last_finished(self, model: str) -> OccurrenceRecord | None:
        table = tables.occurrences
        ended = table.c.outcome.is_not(None) & (table.c.outcome != Outcome.SKIPPED.value)
        return self._first(select(table).where(table.c.model == model, ended).order_by(table.c.occurrence_id.desc()))

    def unfinished(self, model: str) -> OccurrenceRecord | None:
        table = tables.occurrences
        begun = (table.c.model == model) & table.c.outcome.is_(None)
        return self._first(select(table).where(begun).order_by(table.c.occurrence_id))

    def _insert(self, model: str, occurrence_id: str, run_id: str, now: datetime, **ended: str) -> None:
        values = {"model": model, "occurrence_id": occurrence_id, "run_id": run_id, "begun_at": now, "reason": ""}
        values |= {"finished_at": now, **ended} if ended else {}
        with self._store.transaction() as connection:
            connection.execute(insert(tables.occurrences).values(**values))

    def _update(self, model: str, occurrence_id: str, **values: Any) -> None:
        table = tables.occurrences
        same = (table.c.model == model) & (table.c.occurrence_id == occurrence_id)
        with self._store.transaction() as connection:
            connection.execute(update(table).where(same).values(**values))

    def _first(self, query: Select[Any]) -> OccurrenceRecord | None:
        with self._store.transaction(reads=True) as connection:
            row = connection.execute(query.limit(1)).first()
        if row is None:
            return None
        values = dict(row._mapping)
        values["outcome"] = None if values["outcome"] is None else Outcome(values["outcome"])
        return OccurrenceRecord(**values)


def record_judgement(store: Store, judgement: Judgement) -> None:
    """Keep what the gate said; recording the same model and version again replaces it."""
    table = tables.models
    values = {name: getattr(judgement, name) for name in Judgement.__dataclass_fields__}
    same = (table.c.model == judgement.model) & (table.c.version == judgement.version)
    with store.transaction() as connection:
        if connection.execute(update(table).where(same).values(**values)).rowcount == 0:
            connection.execute(insert(table).values(**values))


def judgements(store: Store) -> list[Judgement]:
    """All judgements, oldest first."""
    query = select(tables.models).order_by(tables.models.c.judged_at, tables.models.c.version)
    with store.transaction(reads=True) as connection:
        return [Judgement(**row._mapping) for row in connection.execute(query)]
