"""What kind of value each of SkyPilot's keys takes, so that a job with another one is a fault before anything is paid.

SkyPilot 0.14 checks a task when it is launched, in its server. These are the same kinds, by which no cloud is asked and
no key of its plugins is refused; what SkyPilot computes of a value is left to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .quantities import shown
from .validation_errors import Fault
from .validation_errors import Path as KeyPath


def _no_parts(value: Any, path: KeyPath) -> Iterator[Fault]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of value, and what its parts are."""

    allowed: str  # in words
    takes: Callable[[Any], bool]
    parts: Callable[[Any, KeyPath], Iterator[Fault]] = _no_parts

    def faults(self, value: Any, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with a value that stands at ``path``."""
        if self.takes(value):
            yield from self.parts(value, path)
        else:
            quotes = ", in quotes" if self.allowed == _TEXT.allowed and _is_scalar(value) else ""
            yield Fault(path, f"found {shown(value)}; allowed: {self.allowed}{quotes}")


def _is_scalar(value: Any) -> bool:
    return value is not None and not isinstance(value, dict | list)


def _is_number(value: Any) -> bool:
    """Also one that fits into a float: a whole number of YAML may have any number of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300


def _whole(least: int = -(10**15), most: int = 10**15, allowed: str = "a whole number") -> Shape:
    def takes(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return Shape(allowed, takes)


def _matching(pattern: str, allowed: str) -> Shape:
    return Shape(allowed, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def _list_of(entry: Shape, allowed: str = "a list") -> Shape:
    def parts(value: list[Any], path: KeyPath) -> Iterator[Fault]:
        for place, one in enumerate(value):
            yield from entry.faults(one, (*path, f"[{place}]"))

    return Shape(allowed, lambda value: isinstance(value, list), parts)


def _mapping(
    rest: Shape, most: int | None = None, allowed: str = "a mapping of keys to values", **known: Shape
) -> Shape:
    """Keys with shapes of their own, which may stand there without a value, and the rest."""

    def takes(value: Any) -> bool:
        return isinstance(value, dict) and (most is None or len(value) <= most)

    def parts(value: Mapping[str, Any], path: KeyPath) -> Iterator[Fault]:
        for key, one in value.items():
            if key not in known:
                yield from rest.faults(one, (*path, key))
            elif one is not None:
                yield from known[key].faults(one, (*path, key))

    return Shape(allowed, takes, parts)


def _either(*shapes: Shape) -> Shape:
    def parts(value: Any, path: KeyPath) -> Iterator[Fault]:
        return next(shape for shape in shapes if shape.takes(value)).parts(value, path)

    allowed = " or ".join(shape.allowed for shape in shapes)
    return Shape(allowed, lambda value: any(shape.takes(value) for shape in shapes), parts)


def _plain_parts(value: Any, path: KeyPath) -> Iterator[Fault]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _PLAIN.faults(one, (*path, key if isinstance(key, str) else f"[{key}]"))


def _is_plain(value: Any) -> bool:
    """What JSON can say: SkyPilot sends a task to its server as JSON, and we keep it as JSON."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int | dict | list)


_TEXT = Shape("text", lambda value: isinstance(value, str))
_SWITCH = Shape("true or false", lambda value: isinstance(value, bool))
_NUMBER = Shape("a number", _is_number)
_PLAIN = Shape("text, a number, true, false, a list or a mapping; a date or time in quotes", _is_plain, _plain_parts)
_ANY_MAPPING = _mapping(_PLAIN)
_TEXTS = _mapping(_TEXT)
_SIZE = _either(
    _matching(r"(?i)\d+([kmgtp][bi]?)?", "a size such as 256 or 256GB"), _whole(0, allowed="a whole number of GB")
)

_STORAGE = _mapping(
    _PLAIN,
    name=_TEXT,
    source=_either(_TEXT, _list_of(_TEXT)),
    store=_TEXT,
    persistent=_SWITCH,
    mode=_TEXT,
    type=_TEXT,
    config=_ANY_MAPPING,
)
_MOUNTS = _mapping(_either(_TEXT, _STORAGE), allowed="a mapping of paths on the node to files, URLs or buckets")
_POD = _mapping(_PLAIN, spec=_mapping(_PLAIN, nodeSelector=_mapping(_TEXT)))
_ESTIMATED_GB = _mapping(_NUMBER, most=1, allowed="a mapping of one URL to its size in GB")
_MANAGED_SECRET = _either(_TEXT, _mapping(_mapping(_PLAIN, mount_path=_TEXT), most=1))

# Of a task, the keys that pass through.
_TASK: Mapping[str, Shape] = {
    "file_mounts": _MOUNTS,
    "file_mounts_mapping": _ANY_MAPPING,
    "storage_mounts": _MOUNTS,
    "volumes": _mapping(_either(_TEXT, _ANY_MAPPING), allowed="a mapping of paths on the node to volumes"),
    "volume_mounts": _list_of(_ANY_MAPPING),
    "config": _mapping(_PLAIN, kubernetes=_mapping(_PLAIN, pod_config=_POD), hooks=_list_of(_ANY_MAPPING)),
    "event_callback": _TEXT,
    "inputs": _ESTIMATED_GB,
    "outputs": _ESTIMATED_GB,
    "service": _ANY_MAPPING,
    "pool": _ANY_MAPPING,
    "managed_secrets": _list_of(_MANAGED_SECRET, "a list of names of secrets"),
    "api_server_access": _SWITCH,
    "version": _PLAIN,
    "_metadata": _ANY_MAPPING,
    "_policies": _PLAIN,
}

_EXIT_CODE = _whole(0, 255, "an exit code from 0 to 255")
_RECOVERY = _either(
    _TEXT,
    _mapping(
        _PLAIN,
        strategy=_TEXT,
        max_restarts_on_errors=_whole(0, allowed="0 or more"),
        recover_on_exit_codes=_either(_EXIT_CODE, _list_of(_EXIT_CODE, "a list of exit codes")),
    ),
)
_PORT = _either(_TEXT, _whole(0, 65_535, "a port"))

# Of ``resources`` and of each of ``any_of`` and ``ordered``; what offers are chosen by is checked where that is done.
_RESOURCES: Mapping[str, Shape] = {
    "cloud": _TEXT,
    "region": _TEXT,
    "zone": _TEXT,
    "infra": _TEXT,
    "instance_type": _TEXT,
    "use_spot": _SWITCH,
    "job_recovery": _RECOVERY,
    "spot_recovery": _RECOVERY,
    "volumes": _list_of(_ANY_MAPPING),
    "disk_size": _SIZE,
    "ephemeral_storage": _SIZE,
    "disk_tier": _TEXT,
    "network_tier": _TEXT,
    "local_disk": _TEXT,
    "ports": _either(_PORT, _list_of(_PORT, "a list of ports")),
    "labels": _TEXTS,
    "accelerator_args": _mapping(_PLAIN, runtime_version=_TEXT, tpu_name=_TEXT, tpu_vm=_SWITCH),
    "image_id": _either(_TEXT, _mapping(_TEXT, allowed="a mapping of regions to images")),
    "autostop": _either(
        _SWITCH,
        _matching(r"(?i)\d+[mhdw]?", "whole minutes, hours, days or weeks, such as 10m or 2h"),
        _whole(allowed="a whole number of minutes"),
        _ANY_MAPPING,
    ),
    "priority": _whole(-1000, 1000, "a whole number from -1000 to 1000"),
    "priority_class": _TEXT,
    "hooks": _list_of(_ANY_MAPPING),
    "_cluster_config_overrides": _ANY_MAPPING,
    "_docker_login_config": _TEXTS,
    "_is_image_managed": _SWITCH,
    "_no_missing_accel_warnings": _SWITCH,
    "_requires_fuse": _SWITCH,
}


def task_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Values of another kind than SkyPilot takes, under the keys that pass through unread."""
    yield from _of(data, _TASK, ())
    if isinstance(workdir := data.get("workdir"), dict):  # a Git repository
        yield from _TEXTS.faults(workdir, ("workdir",))


def resource_value_faults(resources: Mapping[str, Any], path: KeyPath) -> Iterator[Fault]:
    """The same of ``resources``, or of one of its alternatives, which stands at ``path``."""
    yield from _of(resources, _RESOURCES, path)


def _of(mapping: Mapping[str, Any], shapes: Mapping[str, Shape], path: KeyPath) -> Iterator[Fault]:
    for key, shape in shapes.items():
        if mapping.get(key) is not None:  # as SkyPilot takes a key without a value: as one that is left out
            yield from shape.faults(mapping[key], (*path, key))
