"""How far an offer is from what a job asks for: the nearest ones show what to ask for instead. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import accumulate, takewhile

from .accelerators import NAMES
from .offer import Offer
from .selection import Resources, reject_reason
from .wanted_accelerators import wanted_accelerators

# What it takes to ask for something else instead, from a number to another kind of machine.
_NUMBERS = {"max_hourly_cost": 1.0, "cpus": 1.0, "memory": 1.0}
_ZONE, _REGION, _CLOUD = 1.0, 2.0, 3.0
_OTHERS = 3.0  # a market, an instance type, an image, a disk, ...
_COUNT, _NAME = 2.0, 4.0  # other accelerators by their number only, or altogether
_PLACE = ("infra", "cloud", "region", "zone")


def distance(offer: Offer, resources: Resources | None) -> float:
    """How much of a job's resources would have to change for this offer; 0 where it fits."""
    asked = resources or {}
    base = {key: value for key, value in asked.items() if key not in ("any_of", "ordered")}
    alternatives = [*(asked.get("any_of") or ()), *(asked.get("ordered") or ())] or [{}]
    return min(sum(_parts(offer, {**base, **one})) for one in alternatives)


def nearest_accelerator(name: str, offered: Sequence[str]) -> str | None:
    """The accelerator that ``name`` was probably meant to be: of those offered, else of those that SkyPilot knows."""
    return next((found for names in (offered, NAMES) for found in _alike(name, names)), None)


def _alike(name: str, names: Sequence[str]) -> list[str]:
    """Those written alike, the ones that begin alike first: T400 is rather a T4 than an RTX4090."""
    by_upper = {one.upper(): one for one in names}
    found = difflib.get_close_matches(name.upper(), by_upper, n=len(by_upper) or 1, cutoff=0.6)
    found.sort(key=lambda one: -_alike_from_the_start(one, name.upper()))
    return [by_upper[one] for one in found]


def _alike_from_the_start(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _parts(offer: Offer, choice: Resources) -> Iterator[float]:
    yield _of_place(offer, choice)
    yield _of_accelerators(offer, choice)
    for key, value in choice.items():
        if key not in (*_PLACE, "accelerators") and reject_reason(offer, {key: value}) is not None:
            yield _NUMBERS.get(key, _OTHERS)


def _of_place(offer: Offer, choice: Resources) -> float:
    """By the first part of the place that is another: cloud, region, zone."""
    place = {key: choice[key] for key in _PLACE if choice.get(key)}
    if reject_reason(offer, place) is None:
        return 0.0
    infra = list(accumulate(str(place.get("infra", "")).split("/"), lambda before, part: f"{before}/{part}"))
    for weight, keys, parts in ((_CLOUD, ("cloud",), 1), (_REGION, ("cloud", "region"), 2)):
        less = {key: place[key] for key in keys if key in place}
        if reject_reason(offer, {**less, "infra": infra[:parts][-1]}) is not None:
            return weight
    return _ZONE


def _of_accelerators(offer: Offer, choice: Resources) -> float:
    asked = choice.get("accelerators")
    if not asked or reject_reason(offer, {"accelerators": asked}) is None:
        return 0.0
    names = {one.name for one in wanted_accelerators(asked)}
    return _COUNT if (offer.accelerator or "").upper() in names else _NAME
