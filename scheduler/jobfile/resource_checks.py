"""What is checked of ``resources``: a slip there would run the job on the wrong machine, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spotwise.cost_models.selection import problems

from . import skypilot_keys
from .quantities import shown
from .skypilot_shapes import resource_value_faults
from .validation_errors import Fault, did_you_mean
from .validation_errors import Path as KeyPath

_ALTERNATIVES = ("any_of", "ordered")


def with_long_names(resources: Mapping[str, Any]) -> dict[str, Any]:
    """SkyPilot's short names of keys written out, also in ``any_of`` and ``ordered``."""
    long = {skypilot_keys.RESOURCE_ALIASES.get(key, key): value for key, value in resources.items()}
    for several in _ALTERNATIVES:
        if isinstance(long.get(several), list):
            long[several] = [with_long_names(one) if isinstance(one, dict) else one for one in long[several]]
    return long


def resource_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Unknown keys, values by which no offer can be chosen, and what SkyPilot does not take together."""
    resources = data.get("resources")
    if not isinstance(resources, dict):
        return
    yield from _of_one(resources, ("resources",))
    for several in _ALTERNATIVES:
        yield from _of_alternatives(resources.get(several), ("resources", several))
    yield from _of_preferences(resources)


def _of_alternatives(listed: Any, path: KeyPath) -> Iterator[Fault]:
    if listed is not None and not isinstance(listed, list):
        yield Fault(path, f"found {shown(listed)}; allowed: a list of mappings")
        return
    for place, one in enumerate(listed or ()):
        where = (*path, f"[{place}]")
        if not isinstance(one, dict):
            yield Fault(where, f"found {shown(one)}; allowed: a mapping of keys to values")
            continue
        yield from _of_one(one, where)
        for several in _ALTERNATIVES:
            if several in one:
                yield Fault((*where, several), f"found inside {path[-1]}; allowed: one list of alternatives")


def _of_one(mapping: Mapping[str, Any], path: KeyPath) -> Iterator[Fault]:
    """Of ``resources`` itself, or one of its alternatives."""
    written = {skypilot_keys.RESOURCE_ALIASES.get(key, key): key for key in mapping}
    for key, problem in problems(with_long_names(mapping)):
        yield Fault((*path, written[key]), problem)
    yield from resource_value_faults(mapping, path)
    yield from _of_place(mapping, path)
    for short, long in skypilot_keys.RESOURCE_ALIASES.items():
        if short in mapping and long in mapping:
            yield Fault((*path, short), f"found beside {long}, which means the same; allowed: one of them")
    for key in mapping:
        if key not in skypilot_keys.RESOURCE_KEYS and key not in skypilot_keys.RESOURCE_ALIASES:
            nearest = did_you_mean(key, sorted(skypilot_keys.RESOURCE_KEYS))
            yield Fault((*path, key), f"unknown key; allowed: the keys of SkyPilot's resources{nearest}")


def _of_place(mapping: Mapping[str, Any], path: KeyPath) -> Iterator[Fault]:
    """A cloud that nobody knows has no offers; SkyPilot refuses its name."""
    for key in ("infra", "cloud"):
        value = mapping.get(key)
        cloud = value.partition("/")[0].strip() if isinstance(value, str) else ""
        if cloud in ("", "*") or cloud.lower() in skypilot_keys.CLOUDS:
            continue
        allowed = "allowed: CLOUD, CLOUD/REGION or CLOUD/REGION/ZONE, with a cloud that SkyPilot knows, or *"
        allowed = allowed if key == "infra" else "allowed: a cloud that SkyPilot knows"
        yield Fault((*path, key), f"found {shown(value)}; {allowed}{did_you_mean(cloud, skypilot_keys.CLOUDS)}")


def _of_preferences(resources: Mapping[str, Any]) -> Iterator[Fault]:
    """SkyPilot refuses two lists of alternatives beside each other."""
    any_of, ordered = (resources.get(several) for several in _ALTERNATIVES)
    several = resources.get("accelerators", resources.get("gpus"))
    is_several = isinstance(several, list | dict) and len(several) > 1
    if any_of and ordered:
        yield Fault(("resources", "ordered"), "found beside any_of; allowed: one of them")
    elif is_several and ordered:
        yield Fault(("resources", "ordered"), "found beside several accelerators; allowed: one of them")
    elif isinstance(several, list) and is_several and any_of:
        yield Fault(("resources", "any_of"), "found beside a list of accelerators; allowed: one, or a set {A, B}")
