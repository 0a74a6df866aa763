"""The leases that one supervisor holds: taken for runs that nobody drives, renewed in time, dropped once lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.errors import LeaseLostError
from ..store import Lease, Store
from . import lease_owner

LEASE_S = 20.0
RENEW_S = 5.0


class HeldLeases:
    """One supervisor's leases, by run id. A run is acted on only while its lease is here."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store, self._owner = store, owner
        self._held: dict[str, tuple[Lease, datetime]] = {}  # with when each was renewed
        self._kept_at: datetime | None = None

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._held

    def __getitem__(self, run_id: str) -> Lease:
        """The lease of a run that is held. Raises KeyError for any other."""
        return self._held[run_id][0]

    def hold(self, run_id: str, now: datetime) -> bool:
        """Take, keep or renew the lease of a run; False where another supervisor holds it."""
        held = self._held.get(run_id)
        if held is not None and now - held[1] < timedelta(seconds=RENEW_S):
            return True
        lease = self._taken(run_id, now) if held is None else self._renewed(held[0], now)
        if lease is None:
            self.drop(run_id)
            return False
        self._held[run_id] = (lease, now)
        return True

    def keep(self, now: datetime) -> None:
        """Renew what is due of all that is held, in a round that lasts long; what another has taken is dropped."""
        if self._kept_at is None or now - self._kept_at >= timedelta(seconds=RENEW_S):
            self._kept_at = now
            for run_id in list(self._held):
                self.hold(run_id, now)

    def release(self, run_id: str) -> None:
        """Give a run up for others to take."""
        self._store.release(run_id, self._owner)
        self.drop(run_id)

    def drop(self, run_id: str) -> None:
        """Forget a lease that is lost."""
        self._held.pop(run_id, None)

    def _taken(self, run_id: str, now: datetime) -> Lease | None:
        lease_owner.free_if_dead(self._store, run_id, now)
        return self._store.lease(run_id, self._owner, now, now + timedelta(seconds=LEASE_S))

    def _renewed(self, lease: Lease, now: datetime) -> Lease | None:
        try:
            self._store.renew(lease, now + timedelta(seconds=LEASE_S))
        except LeaseLostError:
            return None
        return lease
