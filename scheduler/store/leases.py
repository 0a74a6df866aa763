"""Leases: at any moment at most one supervisor acts on a run.

A lease expires, so a dead supervisor blocks nothing for long; its fence number grows with every holder, and every write
checks it, so a supervisor that was only asleep finds out before it changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update

from ..core.errors import LeaseLostError
from . import tables


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act on a run until it expires."""

    run_id: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class LeaseState:
    """How a run's lease stands, whoever asks."""

    run_id: str
    owner: str  # "": nobody, or given up
    fence: int  # 0: nobody ever held it
    expires_at: datetime


def of_active_runs(connection: Connection) -> list[LeaseState]:
    """Of each run that has not ended."""
    lease = tables.leases
    query = select(lease).join(tables.runs, tables.runs.c.id == lease.c.run_id)
    found = connection.execute(query.where(tables.runs.c.active_key.is_not(None)).order_by(lease.c.run_id))
    return [LeaseState(row.run_id, row.owner, row.fence, row.expires_at) for row in found]


def create(connection: Connection, run_id: str, now: datetime) -> None:
    """A run starts with a lease that nobody holds."""
    connection.execute(insert(tables.leases).values(run_id=run_id, owner="", fence=0, expires_at=now))


def take(connection: Connection, run_id: str, owner: str, now: datetime, until: datetime) -> Lease | None:
    """Take the lease if it is free, expired or already ours; None if another supervisor holds it, or the run has ended.

    Whoever asks may have seen the run active a moment ago. Whether it still is, is read once the lease is ours: by then
    what its last holder wrote is there to be seen.
    """
    lease = tables.leases
    is_free = or_(lease.c.expires_at <= now, lease.c.owner == owner, lease.c.owner == "")
    taken = connection.execute(
        update(lease)
        .where(lease.c.run_id == run_id, is_free)
        .values(owner=owner, fence=lease.c.fence + 1, expires_at=until)
    )
    if taken.rowcount != 1:
        return None
    fence = connection.execute(select(lease.c.fence).where(lease.c.run_id == run_id)).scalar_one()
    active = connection.execute(select(tables.runs.c.active_key).where(tables.runs.c.id == run_id)).scalar_one()
    if active is None:
        free(connection, run_id, owner)
        return None
    return Lease(run_id, owner, fence)


def hold(connection: Connection, lease: Lease, until: datetime | None = None) -> None:
    """Check, inside the caller's transaction, that the lease is still held; ``until`` extends it.

    Raises:
        LeaseLostError: another supervisor has taken it.
    """
    table = tables.leases
    values = {"fence": lease.fence} if until is None else {"fence": lease.fence, "expires_at": until}
    held = connection.execute(
        update(table)
        .where(table.c.run_id == lease.run_id, table.c.owner == lease.owner, table.c.fence == lease.fence)
        .values(**values)
    )
    if held.rowcount != 1:
        raise LeaseLostError(f"run {lease.run_id} is now supervised by another process: this one leaves it alone")


def free(connection: Connection, run_id: str, owner: str) -> None:
    """Give the lease up, or take it from an owner known to be dead."""
    table = tables.leases
    connection.execute(update(table).where(table.c.run_id == run_id, table.c.owner == owner).values(owner=""))
