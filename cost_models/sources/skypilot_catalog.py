"""Offers from SkyPilot's catalogs: what its clouds sell, at list prices. Pure: the engine asks SkyPilot for rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..offer import Market, Offer, Pool


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """What a catalog says of an instance type in a region. Prices are floats there, as in the files they come from."""

    cloud: str
    region: str
    instance_type: str  # "" where accelerators are sold apart from the machine
    accelerator: str
    accelerator_count: int
    vcpus: float
    memory_gib: float
    on_demand_usd_per_hour: float | None
    spot_usd_per_hour: float | None


def catalog_offers(rows: Iterable[CatalogRow], read_at: datetime) -> list[Offer]:
    """Every row's spot and on-demand offer, the cheaper one where a catalog lists an instance twice in a region."""
    best: dict[str, Offer] = {}
    for row in rows:
        for offer in _offers(row, read_at):
            known = best.get(offer.key)
            if known is None or offer.price_usd_per_hour < known.price_usd_per_hour:
                best[offer.key] = offer
    return list(best.values())


def _offers(row: CatalogRow, read_at: datetime) -> Iterator[Offer]:
    """Zones are left to SkyPilot: its public catalog prices regions."""
    on_demand = _usd(row.on_demand_usd_per_hour)
    for market, price in ((Market.SPOT, _usd(row.spot_usd_per_hour)), (Market.ON_DEMAND, on_demand)):
        if price is None or not row.instance_type:
            continue  # without a machine's own price nobody can say what it costs
        yield Offer(
            pool=Pool(row.cloud, row.region, "", row.instance_type),
            market=market,
            price_usd_per_hour=price,
            on_demand_usd_per_hour=on_demand,
            accelerator=row.accelerator,
            accelerator_count=row.accelerator_count,
            vcpus=row.vcpus,
            memory_gib=row.memory_gib,
            source=f"SkyPilot's catalog, read {read_at:%Y-%m-%d %H:%M} UTC",
        )


def _usd(price: float | None) -> Decimal | None:
    """The decimal that the catalog's file holds: the shortest that reads as this float."""
    return None if price is None or price <= 0 else Decimal(repr(price))
