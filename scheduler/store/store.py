"""The store: one class over SQLAlchemy Core, the same on SQLite and PostgreSQL.

Threads: a Store may be shared between threads; every call is one transaction. Processes: any number; who may act on a
run is settled by leases, and every write that a supervisor makes carries its lease.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, make_url, select, update
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from spotwise.cost_models.offer import Pool

from ..accounting.ledger import Charge
from ..accounting.team_month import Money, TeamMonth
from ..core.clock import Clock, SystemClock
from ..core.errors import NotFoundError, StoreError, UnreadableRunError
from ..core.event_kind import EventKind, event_kind
from ..core.pool_exposure import PoolExposure
from ..core.remaining import Remaining
from ..core.run import Attempt, CostBasis, Run, RunKind
from ..core.study import StudyRecord
from ..core.study_json import study_from_json
from . import leases, queries, rows, tables, writes
from .changes import Actor, Change, ChangeLog, read_changes
from .database import connect, reading, without_password
from .leases import Lease, LeaseState
from .limits import TeamLimit, check_limit, read_team_month
from .queries import RunTotals
from .schema import bring_up_to_date
from .unreadable import UnreadableRows


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened to a run, with the reason that a person reads."""

    run_id: str
    at: datetime
    kind: EventKind | str  # str: a kind that a newer version wrote, shown as it is
    message: str
    attempt_id: str | None = None


class Store:
    """Runs, attempts, charges, events, what is left of runs, studies.

    Each change of money or state is appended to the history in the transaction that makes it.

    Raises from every method:
        StoreError: the database cannot be read or written.
    """

    def __init__(self, engine: Engine, history: ChangeLog) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self.unreadable = UnreadableRows()  # met so far, and passed over
        self.history = history  # for the store's own parts
        self.schema = bring_up_to_date(self._engine, self._reading, history)  # what that did

    @classmethod
    def open(cls, url: str, actor: Actor | None = None, clock: Clock | None = None) -> Store:
        """Open the store; its tables are made where they are missing, and upgraded where they are older.

        Args:
            actor: on whose behalf; stands beside each change in the history.
            clock: of the history; default: the machine's.

        Raises:
            StoreTooNewError: a newer spotwise wrote it.
            StoreError: unreachable or unreadable.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:  # the text is not repeated: it may hold a password
            raise StoreError("store: is no SQLAlchemy URL; such as sqlite:////srv/spotwise.db") from error
        try:
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            return cls(connect(url), ChangeLog(actor or Actor(), clock or SystemClock()))
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise StoreError(f"cannot open the store {without_password(url)}: {_first_line(error)}") from error

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
            where = without_password(str(self._engine.url))
            hint = "if it is damaged, restore a backup, or move it away to start anew"
            raise StoreError(f"the store {where} failed: {_first_line(error)}; {hint}") from error

    # runs

    def add_run(self, run: Run, active_key: str, limit: TeamLimit | None = None) -> Run:
        """Add a run, or return the active run of the same job file: submitting twice runs once.

        Raises:
            RefusedError: what the run sets aside does not fit into ``limit``. Checked in the transaction that
                adds the run, so two submissions at once cannot both take the last money.
        """
        try:
            with self.transaction() as connection:
                if limit is not None:
                    check_limit(connection, run, limit)
                writes.add_run(connection, self.history, run, active_key)
                leases.create(connection, run.id, run.submitted_at)
        except IntegrityError:
            return self._active_or_same(run, active_key)
        return run

    def _active_or_same(self, run: Run, active_key: str) -> Run:
        same = (tables.runs.c.active_key == active_key) | (tables.runs.c.id == run.id)
        found = self._rows(select(tables.runs).where(same))
        if not found:  # it ended between the two statements
            return self.add_run(run, active_key)
        return self._only_run(found, run_id=run.id)

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            NotFoundError: no run has this id.
            UnreadableRunError: its row is damaged.
        """
        found = self._rows(select(tables.runs).where(tables.runs.c.id == run_id))
        if not found:
            raise NotFoundError(f"no run is called {run_id!r}: `spotwise status` lists all runs")
        return self._only_run(found, run_id=run_id)

    def _only_run(self, found: Sequence[rows.Row], *, run_id: str) -> Run:
        read = self._runs_of(found)
        if not read:
            raise UnreadableRunError(run_id, self.unreadable.of_runs().get(run_id, ""))
        return read[0]

    def _runs_of(self, found: Iterable[rows.Row]) -> list[Run]:
        return self.unreadable.decode("runs", found, rows.run_in, run_key="id")

    def runs(
        self,
        *,
        active: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, oldest first; those whose rows cannot be read are in ``unreadable``.

        Args:
            active: only those that are not final.
            since: only those submitted from then on.
            until: only those submitted before.
            limit: only so many, the newest.
        """
        query = queries.runs(active=active, since=since, until=until, limit=limit)
        return self._runs_of(reversed(self._rows(query)))

    def run_totals(self, run_ids: Collection[str]) -> dict[str, RunTotals]:
        """Attempts, preemptions and booked money of each of these runs that has attempts."""
        with self.transaction(reads=True) as connection:
            return queries.run_totals(connection, run_ids)

    def measured_runs(
        self, *, job_name: str, job_yaml: str, kind: RunKind, hour_s: Decimal, cost_basis: CostBasis, limit: int
    ) -> list[Run]:
        """Completed runs with charges under one kind of money and pace, oldest first.

        The newest ``limit`` of exactly this job file, and the newest ``limit`` of this kind.
        """
        run, billed = tables.runs.c, queries.measured_runs(hour_s, cost_basis, limit)
        same = billed.where(run.job_name == job_name, run.job_yaml == job_yaml)  # the name has an index
        alike = billed.where(run.kind == kind.value)
        found = {run.id: run for query in (same, alike) for run in self._runs_of(self._rows(query))}
        return sorted(found.values(), key=lambda run: (run.submitted_at, run.id))

    def active_run(self, active_key: str) -> Run | None:
        """The active run of a job file; None if there is none."""
        found = self._rows(select(tables.runs).where(tables.runs.c.active_key == active_key))
        return self._only_run(found, run_id=str(found[0]["id"])) if found else None

    def team_month(self, team: str, money: Money, now: datetime) -> TeamMonth:
        """What a team has spent this month of one kind of money, and what its active runs have set aside beyond."""
        with self.transaction(reads=True) as connection:
            return read_team_month(connection, team, money, now)

    def request_cancel(self, run_id: str) -> None:
        """Ask the supervisor to end this run; needs no lease, since nobody else writes this column."""
        with self.transaction() as connection:
            writes.request_cancel(connection, self.history, run_id)

    def save_run(self, run: Run, lease: Lease, cause: str = "") -> None:
        """Write all of a run but ``cancel_requested``; frees its job file for the next run when it is final.

        Args:
            cause: for the history; default: the reason why it ended.
        """
        with self.transaction() as connection:
            leases.hold(connection, lease)
            writes.update_run(connection, self.history, run, cause)

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

    def active_leases(self) -> list[LeaseState]:
        """How the lease of each active run stands."""
        with self.transaction(reads=True) as connection:
            return leases.of_active_runs(connection)

    def lease_owner(self, run_id: str, now: datetime) -> str:
        """Who holds a run's lease; "" if nobody, or if it has expired."""
        found = self._rows(select(tables.leases).where(tables.leases.c.run_id == run_id))
        expires_at = found[0]["expires_at"] if found else None
        return str(found[0]["owner"]) if isinstance(expires_at, datetime) and expires_at > now else ""

    # attempts and charges

    def attempts(
        self,
        run_id: str | Collection[str] | None = None,
        *,
        ids: Collection[str] | None = None,
        active: bool = False,
        since: datetime | None = None,
    ) -> list[Attempt]:
        """Attempts in the order they were made.

        Args:
            run_id: of this run or these; None: of all.
            ids: only these.
            active: only those of active runs.
            since: only those that had not ended by then.
        """
        query = queries.attempts(_several(run_id), ids, active=active, since=since)
        return self.unreadable.decode("attempts", self._rows(query), rows.attempt_in)

    def pool_exposures(self, now: datetime) -> dict[Pool, PoolExposure]:
        """Preemptions and spot hours of each pool where an attempt ever came up."""
        with self.transaction(reads=True) as connection:
            return queries.pool_exposures(connection, now)

    def save_attempt(self, attempt: Attempt, lease: Lease, charges: Sequence[Charge] = (), cause: str = "") -> None:
        """Write an attempt; with the charges of one that ended, in the same transaction.

        Args:
            cause: for the history; default: the reason why it was placed, or ended.
        """
        with self.transaction() as connection:
            leases.hold(connection, lease)
            writes.write_attempt(connection, self.history, attempt, charges, cause)

    def charges(
        self,
        run_id: str | Collection[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Charge]:
        """The ledger in the order of time.

        Args:
            run_id: of this run or these; None: of all.
            since: only charges that begin then or later.
            until: only charges that begin before. No charge spans a UTC midnight.
        """
        query = queries.charges(_several(run_id), since=since, until=until)
        return self.unreadable.decode("charges", self._rows(query), rows.charge_in)

    def booked_usd(self, run_id: str) -> Decimal:
        """The sum of a run's charges."""
        with self.transaction(reads=True) as connection:
            return queries.booked_usd(connection, run_id)

    # history

    def changes(
        self, run_id: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Change]:
        """What was changed, oldest first.

        Args:
            run_id: only of this run.
            since: only from then on.
            limit: only so many, the newest.
        """
        with self.transaction(reads=True) as connection:
            return read_changes(connection, run_id, since, limit)

    # events

    def note(self, happened: RunEvent) -> None:
        """Keep a reason."""
        values = {name: getattr(happened, name) for name in ("run_id", "at", "message", "attempt_id")}
        values["kind"] = str(happened.kind)
        with self.transaction() as connection:
            connection.execute(insert(tables.events).values(**values))

    def events(self, run_id: str) -> list[RunEvent]:
        query = select(tables.events).where(tables.events.c.run_id == run_id).order_by(tables.events.c.id)
        return self.unreadable.decode("events", self._rows(query), _event_in, run_key="")

    def runs_with(self, kind: EventKind) -> frozenset[str]:
        """Ids of the runs to which this has happened."""
        query = select(tables.events.c.run_id).where(tables.events.c.kind == kind.value).distinct()
        return frozenset(row["run_id"] for row in self._rows(query))

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
        return next(iter(self.unreadable.decode("remaining", found, rows.remaining_in, run_key="")), None)

    # studies

    def save_study(self, study: StudyRecord) -> None:
        """Write a study whole, replacing what was there."""
        with self.transaction() as connection:
            writes.write_study(connection, self.history, study)

    def studies(self, ids: Collection[str] | None = None) -> list[StudyRecord]:
        """Studies, oldest first; all, or those of these ids that are known."""
        query = select(tables.studies).order_by(tables.studies.c.created_at, tables.studies.c.id)
        if ids is not None:
            query = query.where(tables.studies.c.id.in_(ids))
        return self.unreadable.decode("studies", self._rows(query), _study_in, run_key="")

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.transaction(reads=True) as connection:
            return int(connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one())

    def _rows(self, query: Any) -> list[rows.Row]:
        with self.transaction(reads=True) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


def _event_in(row: rows.Row) -> RunEvent:
    if not isinstance(row["at"], datetime):
        raise rows.UnreadableRowError(f"at is {row['at']}")
    return RunEvent(row["run_id"], row["at"], event_kind(row["kind"]), row["message"], row["attempt_id"])


def _study_in(row: rows.Row) -> StudyRecord:
    return study_from_json(json.loads(row["record"]))


def _several(run_id: str | Collection[str] | None) -> Collection[str] | None:
    return (run_id,) if isinstance(run_id, str) else run_id


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
