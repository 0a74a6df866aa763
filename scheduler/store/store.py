"""The store: one class over SQLAlchemy Core, the same on SQLite and PostgreSQL.

Threads: a Store may be shared between threads; every call is one transaction. Processes: any number; who may act on a
run is settled by leases, and every write that a supervisor makes carries its lease.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, make_url, select, update
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from ..accounting.ledger import Charge
from ..core.errors import NotFoundError, StoreError
from ..core.remaining import Remaining
from ..core.run import Attempt, Run
from ..core.study import StudyRecord
from ..core.study_json import study_from_json
from . import leases, rows, tables
from .leases import Lease
from .limits import TeamLimit, check_limit, committed_usd


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened to a run, with the reason that a person reads."""

    run_id: str
    at: datetime
    kind: str  # placed, refused, preempted, resumed, stopped, late, finished, ...
    message: str
    attempt_id: str | None = None


class Store:
    """Runs, attempts, charges, events, what is left of runs, studies.

    Raises from every method:
        StoreError: the database cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(spotwise_reads=True)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store, creating its tables when they are missing.

        Raises:
            StoreError: unreachable, unreadable, or written by a newer spotwise.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:  # the text is not repeated: it may hold a password
            raise StoreError("store: is no SQLAlchemy URL; such as sqlite:////srv/spotwise.db") from error
        try:
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            store = cls(_engine(url))
            with store.transaction() as connection:
                _lock_schema(connection)
                tables.metadata.create_all(connection)
                _check_version(connection)
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise StoreError(f"cannot open the store {_without_password(url)}: {_first_line(error)}") from error
        return store

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, reads: bool = False) -> Iterator[Connection]:
        """One transaction for several calls' worth of SQL; used by the store's own parts."""
        try:
            with (self._reading if reads else self._engine).begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            where = _without_password(str(self._engine.url))
            hint = "if it is damaged, restore a backup, or move it away to start anew"
            raise StoreError(f"the store {where} failed: {_first_line(error)}; {hint}") from error

    # runs

    def add_run(self, run: Run, active_key: str, limit: TeamLimit | None = None) -> Run:
        """Add a run, or return the active run of the same job file: submitting twice runs once.

        Raises:
            RefusedError: what the run is expected to cost does not fit into ``limit``. Checked in the transaction that
                adds the run, so two submissions at once cannot both take the last money.
        """
        try:
            with self.transaction() as connection:
                if limit is not None:
                    check_limit(connection, run, limit)
                connection.execute(insert(tables.runs).values(active_key=active_key, **rows.run_row(run)))
                leases.create(connection, run.id, run.submitted_at)
        except IntegrityError:
            return self._active_or_same(run, active_key)
        return run

    def _active_or_same(self, run: Run, active_key: str) -> Run:
        same = (tables.runs.c.active_key == active_key) | (tables.runs.c.id == run.id)
        found = self._rows(select(tables.runs).where(same))
        if not found:  # it ended between the two statements
            return self.add_run(run, active_key)
        return rows.run_of(found[0])

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            NotFoundError: no run has this id.
        """
        found = self._rows(select(tables.runs).where(tables.runs.c.id == run_id))
        if not found:
            raise NotFoundError(f"no run is called {run_id!r}: `spotwise status` lists all runs")
        return rows.run_of(found[0])

    def runs(self, *, active: bool = False) -> list[Run]:
        """All runs, oldest first; only those that are not final with ``active``."""
        query = select(tables.runs).order_by(tables.runs.c.submitted_at, tables.runs.c.id)
        if active:
            query = query.where(tables.runs.c.active_key.is_not(None))
        return [rows.run_of(row) for row in self._rows(query)]

    def active_run(self, active_key: str) -> Run | None:
        """The active run of a job file; None if there is none."""
        found = self._rows(select(tables.runs).where(tables.runs.c.active_key == active_key))
        return rows.run_of(found[0]) if found else None

    def committed_usd(self, team: str, since: datetime) -> Decimal:
        """What a team has spent since a moment, and what its active runs have reserved beyond that."""
        with self.transaction(reads=True) as connection:
            return committed_usd(connection, team, since)

    def request_cancel(self, run_id: str) -> None:
        """Ask the supervisor to end this run; needs no lease, since nobody else writes this column."""
        with self.transaction() as connection:
            run = tables.runs
            connection.execute(update(run).where(run.c.id == run_id).values(cancel_requested=True))

    def save_run(self, run: Run, lease: Lease) -> None:
        """Write all of a run but ``cancel_requested``; frees its job file for the next run when it is final."""
        values = rows.run_row(run)
        del values["id"], values["cancel_requested"]
        if run.state.is_final:
            values["active_key"] = None
        with self.transaction() as connection:
            leases.hold(connection, lease)
            connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(**values))

    # leases

    def lease(self, run_id: str, owner: str, now: datetime, until: datetime) -> Lease | None:
        """Take a run's lease; None while another supervisor holds it, and once the run has ended."""
        with self.transaction() as connection:
            return leases.take(connection, run_id, owner, now, until)

    def renew(self, lease: Lease, until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLostError: it is held by another supervisor now.
        """
        with self.transaction() as connection:
            leases.hold(connection, lease, until)

    def release(self, run_id: str, owner: str) -> None:
        with self.transaction() as connection:
            leases.free(connection, run_id, owner)

    def lease_owner(self, run_id: str, now: datetime) -> str:
        """Who holds a run's lease; "" if nobody, or if it has expired."""
        found = self._rows(select(tables.leases).where(tables.leases.c.run_id == run_id))
        return str(found[0]["owner"]) if found and found[0]["expires_at"] > now else ""

    # attempts and charges

    def attempts(self, run_id: str | None = None, *, active: bool = False) -> list[Attempt]:
        """Attempts of one run, or of all, in the order they were made; only those of active runs with ``active``."""
        query = select(tables.attempts).order_by(tables.attempts.c.run_id, tables.attempts.c.number)
        if run_id is not None:
            query = query.where(tables.attempts.c.run_id == run_id)
        if active:
            query = query.join(tables.runs).where(tables.runs.c.active_key.is_not(None))
        return [rows.attempt_of(row) for row in self._rows(query)]

    def save_attempt(self, attempt: Attempt, lease: Lease, charges: Sequence[Charge] = ()) -> None:
        """Write an attempt; with the charges of one that ended, in the same transaction."""
        row = rows.attempt_row(attempt)
        table = tables.attempts
        with self.transaction() as connection:
            leases.hold(connection, lease)
            changed = connection.execute(update(table).where(table.c.id == attempt.id).values(**row))
            if changed.rowcount == 0:
                connection.execute(insert(table).values(**row))
            if charges:
                connection.execute(delete(tables.charges).where(tables.charges.c.attempt_id == attempt.id))
                connection.execute(insert(tables.charges), [rows.charge_row(charge) for charge in charges])

    def charges(self, run_id: str | None = None) -> list[Charge]:
        """The ledger of one run, or all of it, in the order of time."""
        table = tables.charges
        query = select(table).order_by(table.c.start, table.c.attempt_id, table.c.seq)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        return [rows.charge_of(row) for row in self._rows(query)]

    # events

    def note(self, happened: RunEvent) -> None:
        """Keep a reason."""
        values = {name: getattr(happened, name) for name in ("run_id", "at", "kind", "message", "attempt_id")}
        with self.transaction() as connection:
            connection.execute(insert(tables.events).values(**values))

    def events(self, run_id: str) -> list[RunEvent]:
        query = select(tables.events).where(tables.events.c.run_id == run_id).order_by(tables.events.c.id)
        found = self._rows(query)
        return [RunEvent(r["run_id"], r["at"], r["kind"], r["message"], r["attempt_id"]) for r in found]

    # what is left

    def save_remaining(self, run_id: str, remaining: Remaining, lease: Lease) -> None:
        """Write what is left of a run, replacing what was there."""
        table, values = tables.remaining_table, rows.remaining_row(remaining)
        with self.transaction() as connection:
            leases.hold(connection, lease)
            if connection.execute(update(table).where(table.c.run_id == run_id).values(**values)).rowcount == 0:
                connection.execute(insert(table).values(run_id=run_id, **values))

    def remaining(self, run_id: str) -> Remaining | None:
        """What was left of a run when it was last estimated; None if it never was."""
        found = self._rows(select(tables.remaining_table).where(tables.remaining_table.c.run_id == run_id))
        return rows.rest_of(found[0]) if found else None

    # studies

    def save_study(self, study: StudyRecord) -> None:
        """Write a study whole, replacing what was there."""
        table, values = tables.studies, rows.study_row(study)
        with self.transaction() as connection:
            if connection.execute(update(table).where(table.c.id == study.id).values(**values)).rowcount == 0:
                connection.execute(insert(table).values(id=study.id, **values))

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        query = select(tables.studies).order_by(tables.studies.c.created_at, tables.studies.c.id)
        return [study_from_json(json.loads(row["record"])) for row in self._rows(query)]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.transaction(reads=True) as connection:
            return int(connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one())

    def _rows(self, query: Any) -> list[rows.Row]:
        with self.transaction(reads=True) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late to lock; see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a committed charge survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: two writers queue at BEGIN instead of failing at their first write. Readers never wait.
    reads = connection.get_execution_options().get("spotwise_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _lock_schema(connection: Connection) -> None:
    """Two processes that open a new PostgreSQL store at once must not both create its tables."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7301901)")


def _check_version(connection: Connection) -> None:
    table = tables.meta
    found = connection.execute(select(table.c.value).where(table.c.key == "schema")).scalar_one_or_none()
    if found is None:
        connection.execute(insert(table).values(key="schema", value=str(tables.SCHEMA_VERSION)))
    elif int(found) > tables.SCHEMA_VERSION:
        raise StoreError(
            f"the store was written by a newer spotwise (schema {found}; this one: {tables.SCHEMA_VERSION}): upgrade"
        )
    else:
        _upgrade(connection, int(found))


def _upgrade(connection: Connection, found: int) -> None:
    """Bring an older store up to date, in the transaction that opened it."""
    for version in range(found + 1, tables.SCHEMA_VERSION + 1):
        for statement in tables.UPGRADES[version]:
            connection.exec_driver_sql(statement)
    if found < tables.SCHEMA_VERSION:
        where = tables.meta.c.key == "schema"
        connection.execute(update(tables.meta).where(where).values(value=str(tables.SCHEMA_VERSION)))


def _without_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
