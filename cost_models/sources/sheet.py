"""Offers from the price sheet that ships with spotwise: list prices of one day, for planning without credentials.

The sheet says what things cost, not what is to be had. Rows that its authors doubt (spot prices at a cap or floor,
local zones, commitment prices listed as on-demand) carry a reason in the column ``left_out`` and never become offers.
AWS zones are zone ids (``use1-az1``), the same for every account, not an account's letters (``us-east-1a``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from ..errors import PriceDataError
from ..money import price_of
from ..offer import Market, Offer, Pool
from .base import Machine, Quote, Reading, SourceQuery
from .shipped import READ_ON, read_table

READ_AT = datetime(READ_ON.year, READ_ON.month, READ_ON.day, tzinfo=UTC)


@cache
def load_sheet() -> tuple[Offer, ...]:
    """A spot and an on-demand offer a row, where the sheet has the price.

    Raises:
        PriceDataError: the sheet is missing or a number in it cannot be read.
    """
    return tuple(offer for row in read_table("prices") if not row["left_out"] for offer in row_offers(row))


class SheetSource:
    """The shipped sheet as a source: it says what it was told on its day, whenever it is asked."""

    name = "sheet"

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """List prices of that day. Never old by ``now``: the reading's own time says how old it is."""
        return Reading(f"price sheet {READ_ON.isoformat()}", READ_AT, tuple(offer_quotes(load_sheet(), query)))


def offer_quotes(offers: Iterable[Offer], query: SourceQuery) -> Iterator[Quote]:
    """The prices of those offers that are asked for. An offer that nobody dated quotes nothing."""
    wanted = {(machine.cloud, machine.instance_type) for machine in query.machines}
    for offer in offers:
        pool = offer.pool
        regions = query.regions.get(pool.cloud, ())
        if (pool.cloud, pool.instance_type) in wanted and (not regions or pool.region in regions) and offer.read_at:
            yield Quote(pool, offer.market, offer.price_usd_per_hour, offer.read_at)


def machines_of(offers: Iterable[Offer]) -> tuple[Machine, ...]:
    """The machines behind offers, each once."""
    found = {
        Machine(o.pool.cloud, o.pool.instance_type, o.accelerator, o.accelerator_count): None
        for o in offers
        if o.pool.instance_type
    }
    return tuple(found)


def sheet_source(catalog: str = "") -> str:
    """An offer's ``source``, such as ``price sheet 2026-11-23 (SkyPilot catalog aws@00148f2)``."""
    return f"price sheet {READ_ON.isoformat()} (SkyPilot catalog{f' {catalog}' if catalog else ''})"


def row_offers(row: Mapping[str, str]) -> Iterator[Offer]:
    """The offers of one row; an empty price means that this market does not exist there.

    Raises:
        PriceDataError: a price that is no positive number.
    """
    on_demand, spot = (_price(row, market) for market in ("on_demand", "spot"))
    for market, price in ((Market.SPOT, spot), (Market.ON_DEMAND, on_demand)):
        if price is not None:
            yield Offer(
                pool=Pool(row["cloud"], row["region"], row["zone"], row["instance_type"], _open_accelerators(row)),
                market=market,
                price_usd_per_hour=price,
                on_demand_usd_per_hour=on_demand,
                accelerator=row["accelerator"] or None,
                accelerator_count=int(row["accelerator_count"] or 0),
                vcpus=float(row["vcpus"] or 0),
                memory_gib=float(row["memory_gib"] or 0),
                source=sheet_source(row["catalog"]),
                read_at=READ_AT,
            )


def _open_accelerators(row: Mapping[str, str]) -> str:
    """GCP attaches GPUs to n1 machines: the same instance type is listed with a T4 and with a V100."""
    is_open = row["cloud"] == "gcp" and row["instance_type"].startswith("n1-") and row["accelerator"]
    return f"{row['accelerator']}:{row['accelerator_count']}" if is_open else ""


def _price(row: Mapping[str, str], market: str) -> Decimal | None:
    text = row[f"{market}_usd_per_hour"]
    if not text:
        return None
    price = price_of(text)
    if price is None:
        raise PriceDataError(
            f"price sheet {READ_ON}: {row['cloud']} {row['zone'] or row['region']} {row['instance_type']}: "
            f"{market} price {text!r} is no price; a missing one is left empty"
        )
    return price
