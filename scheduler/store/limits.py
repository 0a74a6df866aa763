"""Team budgets: checked in the transaction that admits a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, select

from ..accounting.team_month import Money, TeamMonth, money_of_run, month_of, team_month
from ..core.errors import RefusedError
from ..core.run import Attempt, CostBasis, Run
from . import rows, tables
from .queries import sum_usd
from .unreadable import UnreadableRows

_ADMISSION_LOCK = 7301902  # PostgreSQL's advisory lock; SQLite's writers queue by themselves


@dataclass(frozen=True, slots=True)
class TeamLimit:
    """What a team may commit in a calendar month."""

    budget_usd: Decimal
    now: datetime  # a moment of that month


def read_team_month(connection: Connection, team: str, money: Money, now: datetime) -> TeamMonth:
    """What a team has spent this month of one kind of money, and what its active runs have set aside beyond that."""
    run, attempt, charge = tables.runs.c, tables.attempts.c, tables.charges.c
    start, end = month_of(now)
    is_emulated = charge.cost_basis == CostBasis.EMULATED.value
    paid = select(sum_usd()).join(tables.runs, run.id == charge.run_id)
    paid = paid.where(run.team == team, is_emulated if money is Money.EMULATED else ~is_emulated)
    booked = connection.execute(paid.where(charge.start >= start, charge.start < end)).scalar_one()
    is_active = (run.team == team) & run.active_key.is_not(None)
    attempts: dict[str, list[Attempt]] = {}
    placed = select(tables.attempts).join(tables.runs).where(is_active).order_by(attempt.run_id, attempt.number)
    unreadable = UnreadableRows()  # named by whoever lists runs
    for placement in unreadable.decode("attempts", _rows(connection, placed), rows.attempt_in):
        attempts.setdefault(placement.run_id, []).append(placement)
    ours = _rows(connection, select(tables.runs).where(is_active))
    active = unreadable.decode("runs", ours, rows.run_in, run_key="id")
    own = [each for each in active if money_of_run(each, attempts.get(each.id, ())) is money]
    by_run = select(charge.run_id, sum_usd().label("usd")).join(tables.runs, run.id == charge.run_id).where(is_active)
    return team_month(
        own,
        [each for one in own for each in attempts.get(one.id, ())],
        booked_usd=booked or Decimal(0),
        booked_by_run={row.run_id: row.usd for row in connection.execute(by_run.group_by(charge.run_id))},
        now=now,
    )


def _rows(connection: Connection, query: Select[Any]) -> list[rows.Row]:
    return [dict(row._mapping) for row in connection.execute(query)]


def check_limit(connection: Connection, run: Run, limit: TeamLimit) -> None:
    """Admit nothing that does not fit: what a run sets aside is what it is measured by.

    Raises:
        RefusedError: that exceeds what the team has left.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADMISSION_LOCK})")
    month = read_team_month(connection, run.team, money_of_run(run, ()), limit.now)
    left = limit.budget_usd - month.committed_usd
    if run.reserved_usd > left:
        raise RefusedError(
            f"{run.job_name} is refused: team {run.team} has {left:.2f} USD left this month, "
            f"and it would set aside {run.reserved_usd:.2f} USD"
        )
