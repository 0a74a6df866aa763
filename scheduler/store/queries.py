"""What is asked of the tables: each question names what it is about, so that no table is read whole for a part."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Float, Select, case, cast, exists, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from spotwise.cost_models.offer import Market, Pool

from ..core.pool_exposure import PoolExposure
from ..core.run import AttemptState, CostBasis, RunState
from . import tables
from .types import Damaged, TimestampColumn, UsdColumn

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RunTotals:
    """A run's attempts and money, counted by the database."""

    attempts: int = 0
    preemptions: int = 0
    booked_usd: Decimal = _ZERO


def runs(*, active: bool, since: datetime | None, until: datetime | None, limit: int | None) -> Select[Any]:
    """The newest first: by submission, from ``since`` to before ``until``."""
    table = tables.runs
    query = select(table).order_by(table.c.submitted_at.desc(), table.c.id.desc()).limit(limit)
    if active:
        query = query.where(table.c.active_key.is_not(None))
    if since is not None:
        query = query.where(table.c.submitted_at >= since)
    if until is not None:
        query = query.where(table.c.submitted_at < until)
    return query


def attempts(
    run_ids: Collection[str] | None, ids: Collection[str] | None, *, active: bool, since: datetime | None
) -> Select[Any]:
    """In the order they were made; ``since``: those that had not ended by then."""
    table = tables.attempts
    query = select(table).order_by(table.c.run_id, table.c.number)
    if run_ids is not None:
        query = query.where(table.c.run_id.in_(run_ids))
    if ids is not None:
        query = query.where(table.c.id.in_(ids))
    if active:
        query = query.join(tables.runs).where(tables.runs.c.active_key.is_not(None))
    if since is not None:
        query = query.where(table.c.ended_at.is_(None) | (table.c.ended_at >= since))
    return query


def charges(run_ids: Collection[str] | None, *, since: datetime | None, until: datetime | None) -> Select[Any]:
    """In the order of time: those that begin from ``since`` to before ``until``. None spans a UTC midnight."""
    table = tables.charges
    query = select(table).order_by(table.c.start, table.c.attempt_id, table.c.seq)
    if run_ids is not None:
        query = query.where(table.c.run_id.in_(run_ids))
    if since is not None:
        query = query.where(table.c.start >= since)
    if until is not None:
        query = query.where(table.c.start < until)
    return query


def booked_usd(connection: Connection, run_id: str) -> Decimal:
    """The sum of a run's charges."""
    return connection.execute(select(sum_usd()).where(tables.charges.c.run_id == run_id)).scalar_one() or _ZERO


def run_totals(connection: Connection, run_ids: Collection[str]) -> dict[str, RunTotals]:
    """Of each of these runs that has attempts."""
    attempt, charge = tables.attempts.c, tables.charges.c
    preempted = func.sum(case((attempt.state == AttemptState.PREEMPTED.value, 1), else_=0))
    counted = select(attempt.run_id, func.count(), preempted).where(attempt.run_id.in_(run_ids))
    paid = select(charge.run_id, sum_usd().label("usd")).where(charge.run_id.in_(run_ids)).group_by(charge.run_id)
    booked = {row.run_id: row.usd for row in connection.execute(paid)}
    counts = connection.execute(counted.group_by(attempt.run_id))
    return {run_id: RunTotals(n, int(lost), booked.get(run_id, _ZERO)) for run_id, n, lost in counts}


def measured_runs(hour_s: Decimal, cost_basis: CostBasis, limit: int) -> Select[Any]:
    """The newest completed runs with charges under one kind of money and pace, newest first; to be narrowed down."""
    run, attempt, charge = tables.runs.c, tables.attempts.c, tables.charges.c
    billed = exists().where(
        attempt.run_id == run.id,
        attempt.cost_basis == cost_basis.value,
        cast(attempt.hour_s, Float) == float(hour_s),
        charge.attempt_id == attempt.id,
    )
    completed = select(tables.runs).where(run.state == RunState.COMPLETED.value, billed)
    return completed.order_by(run.submitted_at.desc(), run.id.desc()).limit(limit)


def pool_exposures(connection: Connection, now: datetime) -> dict[Pool, PoolExposure]:
    """Of each spot pool where an attempt ever came up; one that has not ended counts until ``now``."""
    attempt = tables.attempts.c
    pool = (attempt.cloud, attempt.region, attempt.zone, attempt.instance_type, attempt.pool_accelerators)
    lasted = SecondsBetween(attempt.launched_at, func.coalesce(attempt.ended_at, literal(now, TimestampColumn)))
    preempted = case((attempt.state == AttemptState.PREEMPTED.value, 1), else_=0)
    query = (
        select(*pool, attempt.hour_s, func.sum(preempted), func.sum(case((lasted > 0, lasted), else_=0.0)))
        .where(attempt.market == Market.SPOT.value, attempt.state != AttemptState.REFUSED.value)
        .group_by(*pool, attempt.hour_s)
    )
    found: dict[Pool, PoolExposure] = {}
    for *key, hour_s, preemptions, seconds in connection.execute(query):
        if isinstance(hour_s, Damaged):
            continue  # named by whoever lists attempts
        before = found.get(Pool(*key), PoolExposure(0, 0.0))
        hours = before.hours + float(seconds) / float(hour_s)
        found[Pool(*key)] = PoolExposure(before.preemptions + int(preemptions), hours)
    return found


def sum_usd() -> Any:
    """The sum of charges; None of none."""
    return func.sum(tables.charges.c.amount_usd, type_=UsdColumn)


class SecondsBetween(FunctionElement[float]):
    """Seconds from one moment to another; each database has its own way."""

    inherit_cache = True
    type = Float()


@compiles(SecondsBetween, "sqlite")
def _seconds_on_sqlite(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"


@compiles(SecondsBetween, "postgresql")
def _seconds_on_postgresql(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) AS DOUBLE PRECISION)"
