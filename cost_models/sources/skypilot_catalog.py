"""Offers from SkyPilot's catalogs: what its clouds sell, at list prices. Pure: the engine asks SkyPilot for rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from ..money import MOST_USD_PER_HOUR
from ..offer import Market, Offer, Pool

FINEST_PRICE = Decimal("1E-8")  # USD an hour: finer than any list price, and far coarser than a float's noise


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
    unsupported: Sequence[str] = ()  # features that its cloud lacks, in SkyPilot's words


def catalog_offers(rows: Iterable[CatalogRow], read_at: datetime) -> list[Offer]:
    """Every row's spot and on-demand offer, the cheaper one where a catalog lists an instance twice in a region."""
    best: dict[str, Offer] = {}
    for row in rows:
        for offer in _offers(row, read_at):
            known = best.get(offer.key)
            if known is None or offer.price_usd_per_hour < known.price_usd_per_hour:
                best[offer.key] = offer
    return [_against(best.get(f"{offer.pool}/{Market.ON_DEMAND.value}"), offer) for offer in best.values()]


def _offers(row: CatalogRow, read_at: datetime) -> Iterator[Offer]:
    """Zones are left to SkyPilot: its public catalog prices regions."""
    on_demand = _usd(row.on_demand_usd_per_hour)
    for market, price in ((Market.SPOT, _usd(row.spot_usd_per_hour)), (Market.ON_DEMAND, on_demand)):
        if price is None or not row.instance_type or row.accelerator_count < 1:
            continue  # without a machine's own price nobody can say what it costs; and parts of a GPU have no name
        yield Offer(
            pool=Pool(row.cloud, row.region, "", row.instance_type, _open_accelerators(row)),
            market=market,
            price_usd_per_hour=price,
            on_demand_usd_per_hour=on_demand,
            accelerator=row.accelerator,
            accelerator_count=row.accelerator_count,
            vcpus=row.vcpus,
            memory_gib=row.memory_gib,
            unsupported=frozenset(row.unsupported),
            source=f"SkyPilot's catalog, read {read_at:%Y-%m-%d %H:%M} UTC",
            read_at=read_at,
        )


def _against(on_demand: Offer | None, offer: Offer) -> Offer:
    """Savings are counted against the on-demand offer that the same catalog has, which another row may hold."""
    return replace(offer, on_demand_usd_per_hour=on_demand.price_usd_per_hour if on_demand else None)


def _open_accelerators(row: CatalogRow) -> str:
    """GCP attaches GPUs to n1 machines, and calls all TPUs' machines the same: an instance type stands there often."""
    is_open = row.cloud == "gcp" and (row.instance_type.startswith("n1-") or row.instance_type == "TPU-VM")
    return f"{row.accelerator}:{row.accelerator_count}" if is_open else ""


def _usd(price: float | None) -> Decimal | None:
    """The decimal that the catalog's file holds: sums of two floats, as GCP's 3.7800000000000002, are rounded back."""
    return None if price is None else clean_price(price)


def clean_price(usd: float) -> Decimal | None:
    """A price that travelled as a binary fraction, as the decimal that was meant; None for what is no price."""
    if not 0 < usd < MOST_USD_PER_HOUR:
        return None
    found = Decimal(repr(usd)).quantize(FINEST_PRICE)
    return Decimal(f"{found.normalize():f}") if found else None
