"""Team budgets: checked in the transaction that admits a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from ..core.errors import RefusedError
from ..core.run import Run
from . import tables

_ADMISSION_LOCK = 7301902  # PostgreSQL's advisory lock; SQLite's writers queue by themselves


@dataclass(frozen=True, slots=True)
class TeamLimit:
    """What a team may commit from a moment on."""

    budget_usd: Decimal
    since: datetime


def committed_usd(connection: Connection, team: str, since: datetime) -> Decimal:
    """What a team has spent since a moment, and what its active runs have reserved beyond that."""
    runs, charges = tables.runs, tables.charges
    paid = (
        select(charges.c.run_id, charges.c.start, charges.c.amount_usd)
        .join(runs, runs.c.id == charges.c.run_id)
        .where(runs.c.team == team)
    )
    booked: dict[str, Decimal] = {}
    total = Decimal(0)
    for run_id, start, amount in connection.execute(paid):
        booked[run_id] = booked.get(run_id, Decimal(0)) + amount
        total += amount if start >= since else 0
    reserved = select(runs.c.id, runs.c.reserved_usd).where(runs.c.team == team, runs.c.active_key.is_not(None))
    for run_id, amount in connection.execute(reserved):
        total += max(amount - booked.get(run_id, Decimal(0)), Decimal(0))
    return total


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
