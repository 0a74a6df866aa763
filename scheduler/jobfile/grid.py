"""How many configurations the raw content of a sweep describes, and what a grid needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..core.configurations import MAX_CONFIGURATIONS, configuration_count, is_finite
from .schema import ParamSpec
from .validation_errors import Fault


def grid_faults(sweep: Mapping[str, Any]) -> Iterator[Fault]:
    """A grid needs a space with an end, and leaves nothing to be chosen."""
    if sweep.get("search") != "grid":
        return
    stopping = sweep.get("early_stopping")
    if isinstance(stopping, dict) and stopping.get("type") == "freeze_thaw":
        yield Fault(("sweep", "search"), "found grid beside freeze_thaw, which chooses itself; allowed: model, or asha")
    if "stop_when" in sweep:
        yield Fault(("sweep", "stop_when"), "found beside search: grid, which tries all there is; allowed: one of them")
    space = _specs_of(sweep) or {}
    endless = [name for name, spec in space.items() if not is_finite(spec)]
    for name in endless:
        allowed = "a step, or type categorical with a list of choices"
        yield Fault(
            ("sweep", "space", name), f"found any number between two bounds, with search: grid; allowed: {allowed}"
        )
    if space and not endless and "trials" not in sweep and configuration_count(space) is None:
        found = f"missing, and the grid has more than {MAX_CONFIGURATIONS} configurations"
        yield Fault(("sweep", "trials"), f"{found}; required: how many of them to try")


def count_of(sweep: Mapping[str, Any]) -> int | None:
    """How many configurations the space has; None where it is endless, or not as it should be."""
    space = _specs_of(sweep)
    return None if space is None else configuration_count(space)


def _specs_of(sweep: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """The space, where all of it is as it should be: what is wrong with it is said elsewhere."""
    space = sweep.get("space")
    if not isinstance(space, dict) or not space:
        return None
    try:
        return {str(name): ParamSpec.model_validate(param).as_spec for name, param in space.items()}
    except ValidationError:
        return None
