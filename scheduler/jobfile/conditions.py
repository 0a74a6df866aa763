"""What can be wrong with the conditions of hyperparameters: ``sweep.space.*.when``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.configurations import Space, conditions_of, has_value, is_finite
from .quantities import shown
from .validation_errors import Fault, did_you_mean
from .validation_errors import Path as KeyPath


def condition_faults(space: Space) -> Iterator[Fault]:
    """Conditions on what is no parameter, has any value, or never has that value; and circles of conditions."""
    for name, spec in space.items():
        for parent, allowed in conditions_of(spec).items():
            yield from _faults_of(space, (name, "when", parent), parent, allowed)
    yield from (
        Fault((name, "when"), "found a condition that leads back to this parameter; allowed: no circle")
        for name in space
        if _leads_to(space, name, name)
    )


def _faults_of(space: Space, path: KeyPath, parent: str, allowed: tuple[Any, ...]) -> Iterator[Fault]:
    if parent not in space:
        nearest = did_you_mean(parent, [*space])
        yield Fault(path, f"found no parameter of this name; allowed: {', '.join(space)}{nearest}")
    elif not is_finite(space[parent]):
        yield Fault(path, "found a parameter that may be any number; allowed: a categorical one, an int, or with step")
    else:
        for value in allowed:
            if not has_value(space[parent], value):
                yield Fault(path, f"found {shown(value)}, which {parent} never is; allowed: one of its values")


def _leads_to(space: Space, start: str, goal: str) -> bool:
    seen, left = set[str](), [start]
    while left:
        parents = set(conditions_of(space[left.pop()])) & set(space)
        if goal in parents:
            return True
        left += parents - seen
        seen |= parents
    return False
