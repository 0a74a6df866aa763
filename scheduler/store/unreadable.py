"""Rows that cannot be read: named and passed over, so that one of them never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import Connection, delete, select, update

from ..core.run import AttemptState, RunState
from . import rows, tables
from .changes import ChangeLog, Subject

Value = TypeVar("Value")

_FINAL_STATES = tuple(state.value for state in RunState if state.is_final)
_FINAL_ATTEMPT_STATES = tuple(state.value for state in AttemptState if state.is_final)
_OF_RUNS = (tables.charges, tables.attempts, tables.events, tables.leases, tables.remaining_table)


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that another program wrote, or that is damaged."""

    table: str
    id: str
    run_id: str  # the run that cannot be shown because of it; "": none
    why: str  # for people


class UnreadableRows:
    """The rows that one store has met and could not read."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], UnreadableRow] = {}

    def decode(
        self, table: str, found: Iterable[rows.Row], decode: Callable[[rows.Row], Value], *, run_key: str = "run_id"
    ) -> list[Value]:
        """The values of those rows that can be read; the others are kept here.

        Args:
            decode: raises ``ValueError``, ``TypeError``, ``KeyError`` or ``ArithmeticError`` for one that it cannot.
            run_key: the column that names the run; "": there is none.
        """
        values = []
        for row in found:
            try:
                values.append(decode(row))
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                row_id = str(row["id"] if "id" in row else row.get("run_id", ""))
                run_id = str(row[run_key]) if run_key else ""
                self.add(UnreadableRow(table, row_id, run_id, str(error)))
        return values

    def add(self, row: UnreadableRow) -> None:
        self._found[row.table, row.id] = row

    def of_runs(self) -> dict[str, str]:
        """By run id, why it cannot be read."""
        return {row.run_id: f"{row.table} {row.id}: {row.why}" for row in self._found.values() if row.run_id}

    def __iter__(self) -> Iterator[UnreadableRow]:
        return iter(tuple(self._found.values()))

    def forget(self) -> None:
        """Start anew: what could not be read may have been mended."""
        self._found.clear()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the files of a run lie, as far as its row still says."""

    engine: str
    folder: str
    storage: str
    live_attempts: tuple[str, ...]  # ids


def folder_of(connection: Connection, run_id: str) -> RunFolder | None:
    """What is needed to end a run's attempts, whatever else of its rows is damaged; None: no run is called so."""
    run, attempt = tables.runs.c, tables.attempts.c
    found = connection.execute(select(run.engine, run.folder, run.storage).where(run.id == run_id)).first()
    if found is None:
        return None
    live = select(attempt.id).where(attempt.run_id == run_id, attempt.state.not_in(_FINAL_ATTEMPT_STATES))
    ids = tuple(str(row.id) for row in connection.execute(live))
    return RunFolder(str(found.engine), str(found.folder), str(found.storage or ""), ids)


def end_run(connection: Connection, history: ChangeLog, run_id: str, now: datetime) -> None:
    """End a run whose rows cannot be read, without reading them: it holds no money and no place any more."""
    run, attempt = tables.runs, tables.attempts
    reason = "cancelled by request; its record cannot be read"
    ended = {"state": AttemptState.CANCELLED.value, "ended_at": now, "end_reason": reason}
    live = attempt.c.state.not_in(_FINAL_ATTEMPT_STATES)
    connection.execute(update(attempt).where(attempt.c.run_id == run_id, live).values(**ended))
    over = {"state": RunState.CANCELLED.value, "ended_at": now, "end_reason": reason, "reserved_usd": Decimal(0)}
    query = update(run).where(run.c.id == run_id)
    connection.execute(query.values(active_key=None, cancel_requested=True, wait_until=None, **over))
    connection.execute(update(tables.leases).where(tables.leases.c.run_id == run_id).values(owner="", expires_at=now))
    changed = {"state": (None, RunState.CANCELLED.value)}
    history.append(connection, Subject.RUN, run_id, changed, cause=reason, run_id=run_id)


def remove_run(connection: Connection, history: ChangeLog, run_id: str) -> bool:
    """Remove the rows of a run that has ended, its charges too; False where it has not. The history keeps its lines."""
    run = tables.runs.c
    ended = select(run.id).where(run.id == run_id, run.active_key.is_(None), run.state.in_(_FINAL_STATES))
    if connection.execute(ended).first() is None:
        return False
    for table in _OF_RUNS:
        connection.execute(delete(table).where(table.c.run_id == run_id))
    connection.execute(delete(tables.runs).where(run.id == run_id))
    changed = {"record": ("unreadable", None)}
    history.append(connection, Subject.RUN, run_id, changed, cause="removed by request", run_id=run_id)
    return True
