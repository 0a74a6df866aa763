"""What can be bought through SkyPilot: the settings' own pools, and its clouds' catalogs, read anew now and then."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.cost_models.sources.skypilot_catalog import CatalogRow, catalog_offers

from ...clock import Clock
from ...settings import SkyPilotSettings, SkyPool
from .sky import SkyUnreachableError
from .tasks import pool_key

FRESH = timedelta(hours=1)  # SkyPilot reads its catalogs anew every seven

Read = Callable[[], list[CatalogRow]]  # asks SkyPilot, which takes seconds; raises SkyUnreachableError


class OfferBook:
    """Offers at hand: the settings' pools at once, the catalogs' from a file that is kept fresh."""

    def __init__(self, settings: SkyPilotSettings, read: Read, path: Path, clock: Clock) -> None:
        self._settings, self._read, self._path, self._clock = settings, read, path, clock
        self._rows: list[CatalogRow] | None = None
        self._read_at: datetime | None = None
        self._reading: threading.Thread | None = None

    def offers(self) -> list[Offer]:
        """All offers. Waits for SkyPilot only where nothing was ever read; else what is old is read anew meanwhile.

        Raises:
            SkyUnreachableError: nothing was ever read, and SkyPilot does not answer.
        """
        pools = pool_offers(self._settings.pools)
        if not self._wants_catalogs():
            return pools
        if self._rows is None:
            self._load()
        if self._read_at is None:
            self._refresh()
        elif self._clock.now() - self._read_at > FRESH:
            self._refresh_meanwhile()
        return [*pools, *catalog_offers(self._rows or [], self._read_at or self._clock.now())]

    def _wants_catalogs(self) -> bool:
        """Where the settings name their pools and no cloud, nothing else is meant."""
        return bool(self._settings.clouds) or not self._settings.pools

    def _refresh_meanwhile(self) -> None:
        if self._reading is None or not self._reading.is_alive():
            self._reading = threading.Thread(target=self._refresh_or_keep, daemon=True, name="skypilot-catalogs")
            self._reading.start()

    def _refresh_or_keep(self) -> None:
        try:
            self._refresh()
        except SkyUnreachableError:
            self._read_at = self._clock.now() - FRESH / 2  # what is there will do; not every second again

    def _refresh(self) -> None:
        rows, now = self._read(), self._clock.now()
        self._rows, self._read_at = rows, now
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps({"read_at": now.isoformat(), "rows": [asdict(row) for row in rows]}))
        draft.replace(self._path)

    def _load(self) -> None:
        """What an earlier process has read; a damaged file is read anew."""
        try:
            kept = json.loads(self._path.read_text())
            self._rows = [CatalogRow(**row) for row in kept["rows"]]
            self._read_at = datetime.fromisoformat(kept["read_at"]).astimezone(UTC)
        except (OSError, ValueError, KeyError, TypeError):
            self._rows, self._read_at = None, None


def pool_offers(pools: Sequence[SkyPool]) -> list[Offer]:
    """One offer for each of the settings' pools. Savings are counted against the same machine on demand there."""
    return [_pool_offer(pool, _on_demand(pool, pools)) for pool in pools]


def _pool_offer(pool: SkyPool, on_demand: Decimal | None) -> Offer:
    cloud, region, zone = pool_key(pool)
    name, _, count = (pool.accelerators or "").partition(":")
    return Offer(
        pool=Pool(cloud, region, zone, pool.accelerators or "cpu"),
        market=pool.market,
        price_usd_per_hour=pool.price_usd_per_hour,
        on_demand_usd_per_hour=on_demand,
        accelerator=name or None,
        accelerator_count=int(count or 1) if name else 0,
        vcpus=float(pool.cpus or 0),
        memory_gib=float(pool.memory or 0),
        source="price from the settings",
    )


def _on_demand(pool: SkyPool, pools: Sequence[SkyPool]) -> Decimal | None:
    """The cheapest on-demand price of the same accelerators: in the same place if there is one, else anywhere."""
    same = [p for p in pools if p.market is Market.ON_DEMAND and p.accelerators == pool.accelerators]
    here = [p for p in same if pool_key(p)[:2] == pool_key(pool)[:2]]
    return min((p.price_usd_per_hour for p in here or same), default=None)
