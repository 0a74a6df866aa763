"""Configurations of a search space as a job file writes it: which parameters exist, how many, and which are the same.

A space is ``{name: {type, low, high, log, choices, step, when}}``; ``type`` is float, int or categorical, keys that do
not apply are missing or None. ``when`` maps other parameters to the values with which this one exists; without it the
parameter always does. A space is finite where no parameter may have any real value between its bounds. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Spec = Mapping[str, Any]
Space = Mapping[str, Spec]

MAX_CONFIGURATIONS = 10_000  # larger spaces count as endless: no sweep tries so many, and they are listed at times
_ROUNDED = Decimal("1e-9")  # of a step: an upper bound may have been reckoned in binary


def is_same_value(value: object, other: object) -> bool:
    """Equal and of one kind: True is not 1 here, and "1" is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def values_of(spec: Spec) -> Iterator[Any] | None:
    """All values of a parameter, in order; None where it may have any real value between its bounds."""
    if spec["type"] == "categorical":
        return iter(_distinct(spec["choices"]))
    if spec["type"] == "int":
        return iter(range(int(spec["low"]), int(spec["high"]) + 1, _int_step(spec)))
    if not _is_stepped(spec):
        return None
    return (
        float(min(_decimal(spec["low"]) + i * _decimal(spec["step"]), _decimal(spec["high"]))) for i in _steps(spec)
    )


def is_finite(spec: Spec) -> bool:
    """Whether a parameter has a limited number of values."""
    return spec["type"] != "float" or _is_stepped(spec)


def has_value(spec: Spec, value: object) -> bool:
    """Whether it is one of a finite parameter's values."""
    if spec["type"] == "categorical":
        return any(is_same_value(choice, value) for choice in spec["choices"])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    step = _decimal(spec["step"]) if _is_stepped(spec) else Decimal(1)
    is_inside = spec["low"] <= value <= spec["high"]
    return bool(is_inside and abs((_decimal(value) - _decimal(spec["low"])) / step % 1) <= _ROUNDED)


def conditions_of(spec: Spec) -> dict[str, tuple[Any, ...]]:
    """What other parameters must be for this one to exist: each has one of these values."""
    return {
        name: tuple(allowed) if isinstance(allowed, (list, tuple)) else (allowed,)
        for name, allowed in (spec.get("when") or {}).items()
    }


def parents_first(space: Space) -> list[str]:
    """The parameters so that each comes after those that it depends on; those of a circle come last."""
    ordered, left = list[str](), list(space)
    while left:
        ready = [name for name in left if not set(conditions_of(space[name])) & set(left)]
        ordered += ready or left
        left = [name for name in left if name not in ordered]
    return ordered


def active_params(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the parameters that do not exist with it. One whose condition cannot be checked stays."""
    absent = set[str]()
    for name in parents_first(space):
        conditions = conditions_of(space[name])
        if any(parent in absent or _excludes(params, parent, allowed) for parent, allowed in conditions.items()):
            absent.add(name)
    return {name: value for name, value in params.items() if name not in absent}


def configurations(space: Space) -> Iterator[dict[str, Any]]:
    """Each configuration of a finite space once, as nested loops give them: the last parameter changes fastest.

    Raises:
        ValueError: the space is not finite.
    """
    endless = [name for name, spec in space.items() if not is_finite(spec)]
    if endless:
        raise ValueError(f"{', '.join(endless)} may have any value between two bounds")
    for found in _with_rest(space, parents_first(space), {}):
        yield {name: found[name] for name in space if name in found}


def configuration_count(space: Space, most: int = MAX_CONFIGURATIONS) -> int | None:
    """How many configurations there are; None where there are more than ``most``, or no end of them."""
    if not all(map(is_finite, space.values())):
        return None
    parents = {parent for spec in space.values() for parent in conditions_of(spec) if parent in space}
    leaves = [name for name in space if name not in parents]
    total = 0
    for chosen in configurations({name: space[name] for name in space if name in parents}):
        existing = [name for name in leaves if _exists(space[name], chosen)]
        total += math.prod(_count(space[name]) for name in existing)
        if total > most:
            return None
    return total


def configuration_key(space: Space, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """The same for two configurations that mean the same: equal but for parameters that do not exist with them."""
    active = active_params(space, params)
    return tuple((name, _place(space[name], active[name])) for name in sorted(space) if name in active)


def _with_rest(space: Space, names: list[str], chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not names:
        yield chosen
        return
    name, *rest = names
    values = values_of(space[name]) if _exists(space[name], chosen) else None
    if values is None:
        yield from _with_rest(space, rest, chosen)
        return
    for value in values:
        yield from _with_rest(space, rest, {**chosen, name: value})


def _exists(spec: Spec, chosen: Mapping[str, Any]) -> bool:
    """Whether a parameter exists, once all that it depends on are chosen."""
    conditions = conditions_of(spec)
    return all(parent in chosen and not _excludes(chosen, parent, conditions[parent]) for parent in conditions)


def _excludes(params: Mapping[str, Any], parent: str, allowed: tuple[Any, ...]) -> bool:
    return parent in params and not any(is_same_value(params[parent], value) for value in allowed)


def _place(spec: Spec, value: Any) -> Any:
    """Where a value lies among those of its parameter; itself where any value may be, or where it is none of them."""
    if spec["type"] == "categorical":
        same = [i for i, choice in enumerate(spec["choices"]) if is_same_value(choice, value)]
        return same[0] if same else repr(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return repr(value)
    if spec["type"] == "int":
        return round(value)
    if _is_stepped(spec):
        return round((_decimal(value) - _decimal(spec["low"])) / _decimal(spec["step"]))
    return float(value)


def _count(spec: Spec) -> int:
    if spec["type"] == "categorical":
        return len(_distinct(spec["choices"]))
    if spec["type"] == "int":
        return max(0, (int(spec["high"]) - int(spec["low"])) // _int_step(spec) + 1)
    return len(_steps(spec))


def _distinct(choices: Any) -> list[Any]:
    found: list[Any] = []
    for choice in choices:
        if not any(is_same_value(choice, other) for other in found):
            found.append(choice)
    return found


def _int_step(spec: Spec) -> int:
    return 1 if spec.get("log") else int(spec.get("step") or 1)


def _is_stepped(spec: Spec) -> bool:
    return bool(spec.get("step")) and not spec.get("log")


def _steps(spec: Spec) -> range:
    """The numbers of the steps from ``low`` on, in decimals as Optuna reckons: 0.1 * 3 is 0.3."""
    width = (_decimal(spec["high"]) - _decimal(spec["low"])) / _decimal(spec["step"])
    most = min(math.floor(width + _ROUNDED), 10 * MAX_CONFIGURATIONS)  # more is endless, and a range must have a length
    return range(most + 1)


def _decimal(number: float) -> Decimal:
    return Decimal(str(number))
