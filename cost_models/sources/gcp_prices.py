"""Prices of Google's machines from its billing catalog: cores, memory and GPUs are articles of their own.

An article (SKU) is told by its category (usage type) and by its description, which alone says the family or GPU. It
must fit as a whole: sole tenancy, custom types, commitments, reserved slots contain the same words. Disks are not part
of a machine's price, nor are the local SSDs that some types bring.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ..offer import Market
from .base import Quote
from .gcp_machines import MachineInRegion, family, is_custom
from .gcp_money import usd

COMPUTE_ENGINE = "services/6F81-5844-456A"


class BilledPart(StrEnum):
    """What is billed of a machine."""

    CORE = "core"
    MEMORY = "ram"
    GPU = "gpu"


_UNITS = {BilledPart.CORE: "h", BilledPart.MEMORY: "GiBy.h", BilledPart.GPU: "h"}
# The families as descriptions call them.
_FAMILIES = {
    "a2": "A2 Instance",
    "a3": "A3 Instance",
    "c2": "Compute optimized",
    "c2d": "C2D AMD Instance",
    "c3": "C3 Instance",
    "c3d": "C3D Instance",
    "c4": "C4 Instance",
    "c4d": "C4D Instance",
    "e2": "E2 Instance",
    "g2": "G2 Instance",
    "g4": "G4 Instance",
    "n1": "N1 Predefined Instance",
    "n2": "N2 Instance",
    "n2d": "N2D AMD Instance",
    "n4": "N4 Instance",
    "t2d": "T2D AMD Instance",
}
_GPUS = {
    "A100": ("A100",),
    "A100-80GB": ("A100 80GB",),
    "B200": ("B200 (1 gpu slice)",),
    "H100": ("H100 80GB",),
    "H100-MEGA": ("H100 80GB Mega", "H100 Mega 80GB", "H100 80GB Plus"),
    "H200": ("H200 141GB",),
    "L4": ("L4",),
    "P100": ("P100",),
    "P4": ("P4",),
    "RTXPRO6000": ("RTX 6000 96GB",),
    "T4": ("T4",),
    "V100": ("V100",),
}
_ALL_IN_GPU = frozenset({"a4"})  # cores and memory are not sold apart there
_SHARED_CORES = frozenset({"e2-micro", "e2-small", "e2-medium"})  # a part of a core is billed

_FAMILY_OF = {words.casefold(): name for name, words in _FAMILIES.items()}
_GPU_OF = {words.casefold(): name for name, several in _GPUS.items() for words in several}
_ARTICLE = re.compile(
    r"(?P<spot>(?:spot )?preemptible )?"
    rf"(?:(?P<family>{'|'.join(map(re.escape, _FAMILY_OF))}) (?P<part>core|ram)"
    rf"|(?:nvidia )?(?:tesla )?(?P<gpu>{'|'.join(map(re.escape, _GPU_OF))})(?: gpu)?)"
    r"(?P<attached> attached to (?:spot |preemptible )+vms)?"
    r"(?: running in .+)?"
)


@dataclass(frozen=True, slots=True)
class Article:
    """What is sold in a region, and in which market."""

    part: BilledPart
    name: str  # the family, or the accelerator
    region: str
    market: Market


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of an article costs in an hour."""

    usd: Decimal
    at: datetime | None  # in force since; None where the catalog does not say


Rates = Mapping[Article, frozenset[Rate]]


def collect(skus: Iterable[Any], regions: frozenset[str], into: dict[Article, frozenset[Rate]]) -> None:
    """Add the rates of a page of SKUs (billing_v1's messages) for these regions to ``into``."""
    for sku in skus:
        for article, rate in _rates(sku, regions):
            into[article] = into.get(article, frozenset()) | {rate}


def quotes(place: MachineInRegion, rates: Rates, now: datetime) -> Iterator[Quote]:
    """A price in each market whose parts all have one, in each zone of the place."""
    if place.size is None or is_custom(place.machine) or place.machine.instance_type in _SHARED_CORES:
        return
    for market in Market:
        parts = [(amount, rates.get(article, frozenset())) for article, amount in _bill(place, market)]
        found = [(amount, min(known, key=repr)) for amount, known in parts if len({rate.usd for rate in known}) == 1]
        if not found or len(found) < len(parts):
            continue  # a part without a price, or with two: a sum of the others would be too cheap
        price = sum((amount * rate.usd for amount, rate in found), Decimal())
        since = [rate.at for _, rate in found if rate.at is not None and rate.at <= now]
        at = max(since) if len(since) == len(found) else now
        for zone in place.zones or ("",):
            yield Quote(place.pool(zone), market, price.normalize(), at)


def _bill(place: MachineInRegion, market: Market) -> Iterator[tuple[Article, Decimal]]:
    machine, kind = place.machine, family(place.machine.instance_type)
    if place.size is not None and kind not in _ALL_IN_GPU:
        yield Article(BilledPart.CORE, kind, place.region, market), place.size.vcpus
        yield Article(BilledPart.MEMORY, kind, place.region, market), place.size.memory_gib
    if machine.accelerator is not None or kind in _ALL_IN_GPU:
        article = Article(BilledPart.GPU, machine.accelerator or "", place.region, market)
        yield article, Decimal(machine.accelerator_count)


def _rates(sku: Any, regions: frozenset[str]) -> Iterator[tuple[Article, Rate]]:
    here = regions.intersection(sku.service_regions)
    if not here or sku.category.usage_type not in ("OnDemand", "Preemptible"):
        return
    words = _ARTICLE.fullmatch(sku.description.casefold())
    if words is None:
        return
    part = BilledPart(words["part"] or BilledPart.GPU)
    rate = _rate(sku, part)
    if rate is None:
        return
    # Some articles of spot GPUs are said to be used on demand: whichever of the two says spot is right.
    is_spot = sku.category.usage_type == "Preemptible" or bool(words["spot"] or words["attached"])
    name = _GPU_OF[words["gpu"]] if words["gpu"] else _FAMILY_OF[words["family"]]
    for region in here:
        yield Article(part, name, region, Market.SPOT if is_spot else Market.ON_DEMAND), rate


def _rate(sku: Any, part: BilledPart) -> Rate | None:
    """The price that holds without any amount used before; None where it is absent, zero or in another unit."""
    if not sku.pricing_info:
        return None
    pricing = sku.pricing_info[-1]  # the newest comes last
    tiers = [tier for tier in pricing.pricing_expression.tiered_rates if tier.start_usage_amount == 0]
    if pricing.pricing_expression.usage_unit != _UNITS[part] or len(tiers) != 1:
        return None
    price = usd(tiers[0].unit_price) if tiers[0].HasField("unit_price") else None
    at = pricing.effective_time.ToDatetime(tzinfo=UTC) if pricing.HasField("effective_time") else None
    return None if price is None else Rate(price, at)
