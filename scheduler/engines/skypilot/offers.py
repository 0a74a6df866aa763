"""What can be bought through SkyPilot: the settings' own pools, and its clouds' catalogs, read anew now and then."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.strict_json import parse_json
from spotwise.cost_models.offer import Market, Offer
from spotwise.cost_models.sources.skypilot_catalog import CatalogRow, catalog_offers

from ...core.clock import Clock
from ...jobfile.settings import SkyPilotSettings, SkyPool
from .sky import SkyUnreachableError
from .tasks import pool_of

FRESH = timedelta(hours=1)  # SkyPilot reads its catalogs anew every seven
TRY_AGAIN = timedelta(minutes=10)

_LONGEST_CACHE = 2**28  # bytes

Read = Callable[[], list[CatalogRow]]  # asks SkyPilot, which takes seconds; raises SkyUnreachableError


@dataclass(frozen=True, slots=True)
class Catalogs:
    """What SkyPilot's catalogs said."""

    rows: list[CatalogRow]
    read_at: datetime


class OfferBook:
    """Offers at hand: the settings' pools at once, the catalogs' from a file that is kept fresh."""

    def __init__(self, settings: SkyPilotSettings, read: Read, path: Path, clock: Clock) -> None:
        self._settings, self._read, self._path, self._clock = settings, read, path, clock
        self._catalogs: Catalogs | None = None
        self._tried_at: datetime | None = None
        self._reading: threading.Thread | None = None

    def offers(self) -> list[Offer]:
        """All offers. Waits for SkyPilot only where nothing was ever read; else what is old is read anew meanwhile.

        Raises:
            SkyUnreachableError: nothing was ever read, and SkyPilot does not answer.
        """
        pools = pool_offers(self._settings.pools)
        if not self._wants_catalogs():
            return pools
        catalogs = self._catalogs = self._catalogs or self._kept() or self._read_anew()
        if self._is_to_be_read(catalogs):
            self._read_meanwhile()
        return [*pools, *catalog_offers(catalogs.rows, catalogs.read_at)]

    def _wants_catalogs(self) -> bool:
        """Where the settings name their pools and no cloud, nothing else is meant."""
        return bool(self._settings.clouds) or not self._settings.pools

    def _is_to_be_read(self, catalogs: Catalogs) -> bool:
        now = self._clock.now()
        if self._tried_at is not None and now - self._tried_at < TRY_AGAIN:
            return False
        return not timedelta() <= now - catalogs.read_at <= FRESH  # a clock may have been set back

    def _read_meanwhile(self) -> None:
        if self._reading is None or not self._reading.is_alive():
            self._tried_at = self._clock.now()
            self._reading = threading.Thread(target=self._read_or_keep, daemon=True, name="skypilot-catalogs")
            self._reading.start()

    def _read_or_keep(self) -> None:
        with suppress(SkyUnreachableError):  # what is there will do
            self._catalogs = self._read_anew()

    def _read_anew(self) -> Catalogs:
        catalogs = Catalogs(self._read(), self._clock.now())
        with suppress(OSError):  # then the next process reads it again
            self._keep(catalogs)
        return catalogs

    def _keep(self, catalogs: Catalogs) -> None:
        content = {"read_at": catalogs.read_at.isoformat(), "clouds": self._settings.clouds}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**content, "rows": [asdict(row) for row in catalogs.rows]})
        write_atomic(self._path, text, durable=False, mode=0o600)

    def _kept(self) -> Catalogs | None:
        """What an earlier process has read; None where it asked other clouds, or where the file is damaged."""
        try:
            kept = parse_json(self._path.read_text(), longest=_LONGEST_CACHE)
            if kept["clouds"] != self._settings.clouds:
                return None
            read_at = datetime.fromisoformat(kept["read_at"]).astimezone(UTC)
            catalogs = Catalogs([CatalogRow(**row) for row in kept["rows"]], read_at)
            catalog_offers(catalogs.rows, read_at)  # whole JSON may still hold no prices
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
            return None
        return catalogs


def pool_offers(pools: Sequence[SkyPool]) -> list[Offer]:
    """One offer for each of the settings' pools. Savings are counted against the same machine on demand there."""
    offers = [_pool_offer(pool) for pool in pools]
    return [replace(offer, on_demand_usd_per_hour=_on_demand(offer, offers)) for offer in offers]


def _pool_offer(pool: SkyPool) -> Offer:
    name, _, count = (pool.accelerators or "").partition(":")
    return Offer(
        pool=pool_of(pool),
        market=pool.market,
        price_usd_per_hour=pool.price_usd_per_hour,
        on_demand_usd_per_hour=None,
        accelerator=name or None,
        accelerator_count=int(count or 1) if name else 0,
        vcpus=float(pool.cpus or 0),
        memory_gib=float(pool.memory or 0),
        source="price from the settings",
    )


def _on_demand(offer: Offer, offers: Sequence[Offer]) -> Decimal | None:
    """An on-demand offer's own price; else the cheapest of such machines: in the same place if there is one."""
    if offer.market is Market.ON_DEMAND:
        return offer.price_usd_per_hour
    same = [o for o in offers if o.market is Market.ON_DEMAND and _machine(o) == _machine(offer)]
    here = [o for o in same if (o.pool.cloud, o.pool.region) == (offer.pool.cloud, offer.pool.region)]
    return min((o.price_usd_per_hour for o in here or same), default=None)


def _machine(offer: Offer) -> tuple[str, float]:
    """What makes two machines comparable: their accelerators, and where they have none, their size."""
    return offer.accelerators(), 0.0 if offer.accelerator else offer.vcpus
