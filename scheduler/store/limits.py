"""Team budgets: checked in the transaction that admits a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from ..core.errors import RefusedError
from ..core.run import Run
from . import tables
from .queries import sum_usd

_ADMISSION_LOCK = 7301902  # PostgreSQL's advisory lock; SQLite's writers queue by themselves


@dataclass(frozen=True, slots=True)
class TeamLimit:
    """What a team may commit from a moment on."""

    budget_usd: Decimal
    since: datetime


def committed_usd(connection: Connection, team: str, since: datetime) -> Decimal:
    """What a team has spent since a moment, and what its active runs have reserved beyond that."""
    run, charge = tables.runs.c, tables.charges.c
    paid = select(sum_usd()).join(tables.runs, run.id == charge.run_id).where(run.team == team, charge.start >= since)
    booked = select(sum_usd()).where(charge.run_id == run.id).scalar_subquery()
    active = select(run.reserved_usd, booked).where(run.team == team, run.active_key.is_not(None))
    beyond = (max(reserved - (spent or 0), Decimal(0)) for reserved, spent in connection.execute(active))
    return sum(beyond, connection.execute(paid).scalar_one() or Decimal(0))


def check_limit(connection: Connection, run: Run, limit: TeamLimit) -> None:
    """Admit nothing that does not fit.

    Raises:
        RefusedError: the run's expected cost exceeds what the team has left.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADMISSION_LOCK})")
    left = limit.budget_usd - committed_usd(connection, run.team, limit.since)
    wanted = run.reserved_usd if run.predicted_usd is None else run.predicted_usd
    if wanted > left:
        what = "expected to cost" if run.predicted_usd is not None else "to set aside its budget of"
        raise RefusedError(
            f"{run.job_name} is refused: team {run.team} has {left:.2f} USD left this month, "
            f"and it is {what} {wanted:.2f} USD"
        )
