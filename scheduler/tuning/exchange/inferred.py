"""A search space from the configurations that were tried, where nobody wrote down the space itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

LEAST_DECADES = 1.0  # between smallest and largest value, before a logarithmic scale is thought of
LEAST_EVIDENCE = 2.0  # natural logarithm of how many times likelier it must be: a few trials may lie low by chance


@dataclass(frozen=True, slots=True)
class InferredSpace:
    """The space, and in words how each parameter came to be in it or not."""

    space: dict[str, dict[str, Any]]
    notes: tuple[str, ...]


def infer_space(configs: Sequence[Mapping[str, Any]]) -> InferredSpace:
    """Bounds are the values seen, rounded outwards; what never changes or is no plain value is no parameter."""
    space, notes = dict[str, dict[str, Any]](), []
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [config[name] for config in configs if name in config]
        if not all(value is None or isinstance(value, (bool, int, float, str)) for value in values):
            notes.append(f"{name} is left out: it has values that are no number, text or truth value")
        elif len(seen := _distinct(values)) == 1:
            notes.append(f"{name} is left out: it is {seen[0]} in every trial")
        elif all(_is_number(value) for value in values):
            space[name] = _numeric(values)
            notes.append(f"{name}: {_shown(space[name])}, from {min(values):g} to {max(values):g} as tried")
        else:
            space[name] = {"type": "categorical", "choices": seen}
            notes.append(f"{name}: categorical, {len(seen)} choices as tried")
    return InferredSpace(space, tuple(notes))


def _numeric(values: Sequence[float]) -> dict[str, Any]:
    log = _is_log(values)
    if all(isinstance(value, int) for value in values):
        return {"type": "int", "low": min(values), "high": max(values), "log": log}
    low, high = _outwards(min(values), max(values), log=log)
    return {"type": "float", "low": low, "high": high, "log": log}


def _is_log(values: Sequence[float]) -> bool:
    """Whether the values are clearly likelier drawn evenly on a logarithmic scale than on a plain one."""
    low, high = min(values), max(values)
    if low <= 0 or math.log10(high / low) < LEAST_DECADES:
        return False
    plain = -len(values) * math.log(high - low)
    logarithmic = -sum(math.log(value) for value in values) - len(values) * math.log(math.log(high / low))
    return logarithmic > plain + LEAST_EVIDENCE


def _outwards(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """On a logarithmic scale to one digit each, on a plain one to a hundredth or more of the range."""
    least, most = Decimal(repr(low)), Decimal(repr(high))
    exponents = (least.adjusted(), most.adjusted()) if log else ((most - least).adjusted() - 1,) * 2
    return (
        float(least.quantize(Decimal(1).scaleb(exponents[0]), ROUND_FLOOR)),
        float(most.quantize(Decimal(1).scaleb(exponents[1]), ROUND_CEILING)),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Each value once, as first seen; True is not 1."""
    return list({(isinstance(value, bool), value): value for value in values}.values())


def _shown(spec: Mapping[str, Any]) -> str:
    return f"{spec['type']} {spec['low']:g} to {spec['high']:g}{', log' if spec['log'] else ''}"
