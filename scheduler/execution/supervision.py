"""Which runs nobody watches over: their machines go on, are billed, and end only by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ..core.text import counted
from ..store import Store
from .held_leases import LEASE_S
from .lease_owner import is_dead_here

_PATIENCE = timedelta(seconds=10)  # the next supervisor takes a while to start


def unsupervised_since(store: Store, now: datetime) -> dict[str, datetime]:
    """Of each active run without a supervisor, as far as can be told from here, when it last had one. Reads only.

    A lease that was held says when it was renewed last; of a run that nobody ever drove counts when it was submitted.
    """
    found: dict[str, datetime] = {}
    for lease in store.active_leases():
        if lease.owner and lease.expires_at > now and not is_dead_here(lease.owner):
            continue
        since = lease.expires_at - timedelta(seconds=LEASE_S) if lease.fence else lease.expires_at
        if now - since >= _PATIENCE:
            found[lease.run_id] = since
    return found


def supervision_line(since: Mapping[str, datetime]) -> str | None:
    """For people: which runs nobody supervises, and what to do; None where there are none."""
    if not since:
        return None
    runs = "; ".join(f"{run_id} since {moment:%Y-%m-%d %H:%M} UTC" for run_id, moment in sorted(since.items()))
    return (
        f"not supervised: {runs}. What {counted(len(since), 'run')} may hold goes on and is counted as running; "
        "nobody moves or stops it until `spotwise supervise` does"
    )
