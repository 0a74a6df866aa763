"""Which offers a job's SkyPilot ``resources`` allow. Pure; each rejected offer gets its reason.

Semantics follow SkyPilot's YAML, with one difference: which market is used is the policy's choice, so ``use_spot:
true`` (or none) allows both and only ``use_spot: false`` keeps a job on demand. Without ``accelerators`` any machine
will do. Disks, images, networks and ports leave out places that are known not to have them; keys that do not narrow the
choice of an offer (sizes of disks, recovery, ...) are ignored here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

from .errors import CostModelError
from .features import feature_reason, image_reason, needed_by
from .offer import Offer, Pool
from .wanted_accelerators import wanted_accelerators

Resources = Mapping[str, Any]  # as YAML gives it: checked key by key below

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(\+?)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[kmgtp](?:b|i|ib))?)\s*(\+?)", re.IGNORECASE)
_IN_GIB = {"": 1.0, "k": 2.0**-20, "m": 2.0**-10, "g": 1.0, "t": 2.0**10, "p": 2.0**20}
_CLOUD_NAMES = {"k8s": "kubernetes"}
NAMED_WHOLE = frozenset({"kubernetes", "ssh"})  # a context's name may hold slashes, as those of EKS do
_WITH_ZONES = frozenset({"aws", "gcp", "ibm", "oci", "runpod", "vsphere"})  # whose regions SkyPilot divides into zones


def reject_reason(offer: Offer, resources: Resources | None, features: Collection[str] = ()) -> str | None:
    """Why an offer will not do; None where it will.

    Args:
        features: what the job needs of a place beyond its ``resources``: see `features`.

    Raises:
        CostModelError: a value that means nothing, such as ``cpus: many``.
    """
    reasons = [_first_reason(offer, choice, features) for choice in _choices(resources or {})]
    if None in reasons:
        return None
    return " and ".join(dict.fromkeys(reason for reason in reasons if reason))


def problems(resources: Resources) -> Iterator[tuple[str, str]]:
    """Pairs of a key whose value means nothing and what is wrong with it: what `reject_reason` raises for any offer."""
    checks: dict[str, Callable[[Any], object]] = {
        "accelerators": lambda value: value and list(wanted_accelerators(value)),
        "cpus": lambda value: value is None or _cpus(value),
        "memory": lambda value: value is None or _memory_gib(value),
        "max_hourly_cost": _most,
    }
    for key, check in checks.items():
        try:
            check(resources.get(key))
        except CostModelError as error:
            yield key, str(error).removeprefix(f"resources.{key}: ")


def _choices(resources: Resources) -> Iterator[Resources]:
    """``any_of`` and ``ordered`` name alternatives, each laid over the keys beside it."""
    base = {key: value for key, value in resources.items() if key not in ("any_of", "ordered")}
    alternatives: list[Any] = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    for alternative in alternatives or [{}]:
        if not isinstance(alternative, Mapping):
            raise CostModelError(f"resources.any_of and ordered are lists of mappings, not of {alternative!r}")
        yield {**base, **alternative}


def _first_reason(offer: Offer, resources: Resources, features: Collection[str] = ()) -> str | None:
    checks = (
        _market_reason(offer, resources.get("use_spot")),
        _place_reason(offer, resources),
        _instance_reason(offer, resources.get("instance_type")),
        _accelerator_reason(offer, resources.get("accelerators")),
        _amount_reason(offer.vcpus, "vCPUs", resources.get("cpus"), _cpus),
        _amount_reason(offer.memory_gib, "GiB memory", resources.get("memory"), _memory_gib),
        _price_reason(offer, resources.get("max_hourly_cost")),
        image_reason(offer, resources.get("image_id")),
        feature_reason(offer, chain(features, needed_by(resources, offer))),
    )
    return next((reason for reason in checks if reason), None)


def _market_reason(offer: Offer, use_spot: object) -> str | None:
    return "spot, and the job says use_spot: false" if use_spot is False and offer.is_spot else None


def asked_place(resources: Resources) -> tuple[str, str, str]:
    """Cloud, region and zone that resources without ``any_of`` ask for; "" for any.

    ``infra: cloud/region/zone`` with ``*`` for any, or the older keys ``cloud``, ``region``, ``zone``. On Kubernetes
    all that follows the cloud is one name: contexts of EKS hold slashes.
    """
    infra = str(resources.get("infra") or "").strip("/")
    cloud, _, rest = infra.partition("/")
    region, _, zone = (rest, "", "") if _cloud_name(cloud) in NAMED_WHOLE else rest.partition("/")
    asked = {"cloud": cloud, "region": region, "zone": zone}
    found = [part if part not in ("", "*") else str(resources.get(key) or "") for key, part in asked.items()]
    cloud, region, zone = ("" if part == "*" else part for part in found)
    return _cloud_name(cloud), region, zone


def asked_zones(offer: Offer, resources: Resources | None) -> list[str]:
    """The zones that a job keeps an offer of a whole region to, in its order; [] where any zone will do."""
    fitting = [choice for choice in _choices(resources or {}) if _first_reason(offer, choice) is None]
    zones = [asked_place(choice)[2] for choice in fitting]
    return [] if offer.pool.zone or "" in zones else list(dict.fromkeys(zones))


def _cloud_name(cloud: str) -> str:
    return _CLOUD_NAMES.get(cloud.lower(), cloud.lower())


def _place_reason(offer: Offer, resources: Resources) -> str | None:
    asked = asked_place(resources)
    for key, wanted in zip(("cloud", "region", "zone"), asked, strict=True):
        found = str(getattr(offer.pool, key))
        if wanted.lower() in ("", found.lower()):
            continue
        if key == "zone" and _may_hold(offer.pool, wanted):
            continue
        hint = "; AWS prices name zones by zone id, so ask for the region" if _is_lettered(offer, key, wanted) else ""
        return f"{key} {found or 'none'}, not {wanted}{hint}"
    return None


def _may_hold(pool: Pool, zone: str) -> bool:
    """Whether an offer of a whole region includes this zone, by the zone's name: catalogs price regions."""
    if pool.zone or pool.cloud not in _WITH_ZONES:
        return False
    zone, region = zone.lower(), pool.region.lower()
    return region in zone or (pool.cloud == "aws" and zone.startswith(f"{_aws_short(region)}-az"))


def _aws_short(region: str) -> str:
    """How zone ids of AWS begin: ``use1`` in us-east-1, ``apne1`` in ap-northeast-1."""
    *area, compass, number = region.split("-") if region.count("-") > 1 else ["", "", ""]
    ends = (("north", "n"), ("south", "s"), ("central", "c"), ("east", "e"), ("west", "w"))
    for word, letter in ends:
        compass = compass.replace(word, letter)
    return f"{area[0]}{''.join(word[0] for word in area[1:])}{compass}{number}"


def _is_lettered(offer: Offer, key: str, wanted: str) -> bool:
    """True for an account's zone letter such as ``us-east-1a``, which means another zone in another account."""
    return (
        key == "zone"
        and offer.pool.cloud == "aws"
        and re.fullmatch(rf"{re.escape(offer.pool.region)}[a-z]", wanted.lower()) is not None
    )


def _instance_reason(offer: Offer, instance_type: object) -> str | None:
    if not instance_type or offer.pool.instance_type == instance_type:
        return None
    return f"instance type {offer.pool.instance_type}, not {instance_type}"


def _accelerator_reason(offer: Offer, accelerators: object) -> str | None:
    if not accelerators:
        return None
    wanted = list(wanted_accelerators(accelerators))
    if any(one.is_met_by(offer) for one in wanted):
        return None
    found = offer.accelerators() or "no accelerators"
    return f"{found}, not {' or '.join(dict.fromkeys(str(one) for one in wanted))}"


def _amount_reason(
    found: float, unit: str, wanted: object, parse: Callable[[object], tuple[float, bool]]
) -> str | None:
    """``4`` means exactly four, ``4+`` at least four."""
    if wanted is None:
        return None
    least, or_more = parse(wanted)
    if found == least or (or_more and found > least):
        return None
    return f"{found:g} {unit}, not {wanted}"


def _cpus(wanted: object) -> tuple[float, bool]:
    matched = _AMOUNT.fullmatch(str(wanted).strip())
    if matched is None:
        raise CostModelError(f"resources.cpus: found {wanted!r}; allowed: 4 for exactly so much, 4+ for at least")
    return float(matched[1]), bool(matched[2])


def _memory_gib(wanted: object) -> tuple[float, bool]:
    """Without a unit it is GiB; SkyPilot's units are powers of 1024, whether they are written GB or GiB."""
    matched = _MEMORY.fullmatch(str(wanted).strip())
    if matched is None:
        allowed = "16 for exactly so much in GiB, 16+ for at least; units such as 16GB, 16384MB and 1TB may be named"
        raise CostModelError(f"resources.memory: found {wanted!r}; allowed: {allowed}")
    return float(matched[1]) * _IN_GIB[matched[2][:1].lower()], bool(matched[3])


def _most(amount: object) -> Decimal | None:
    """The limit in USD per hour, above 0."""
    try:
        most = None if amount is None else Decimal(str(amount))
    except InvalidOperation:
        most = Decimal(0)
    if most is not None and (not most.is_finite() or most <= 0):
        raise CostModelError(f"resources.max_hourly_cost: found {amount!r}; allowed: an amount in USD, above 0")
    return most


def _price_reason(offer: Offer, most: object) -> str | None:
    limit = _most(most)
    if limit is None or offer.price_usd_per_hour <= limit:
        return None
    return f"{offer.price_usd_per_hour} USD an hour, above max_hourly_cost {limit}"
