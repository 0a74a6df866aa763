"""Search spaces as the job file writes them: fitting values of other spaces in, Optuna's distributions.

What a space is, and which parameters of it exist with a configuration: ``core.configurations``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from ...core.configurations import Space, Spec, active_params, is_same_value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_ROUNDED = Decimal("1e-9")  # of a step


class _NoFit(Enum):
    """A type of its own, since any value that a job file can write, null too, may be a choice."""

    NO_FIT = "no fit"


NO_FIT: Final = _NoFit.NO_FIT  # a space has no place for a value, or a configuration has no value


def is_numeric(spec: Spec) -> bool:
    """Whether it is a number between two bounds, and not one of several choices."""
    return spec["type"] in ("float", "int")


def shared_names(space: Space, other: Space) -> tuple[str, ...]:
    """Parameters of ``space`` that ``other`` has too: same name, both numeric or both categorical."""
    return tuple(name for name in space if name in other and is_numeric(space[name]) == is_numeric(other[name]))


def fit(spec: Spec, value: object) -> Any:
    """The value of ``spec`` nearest to a value of another space; ``NO_FIT`` if there is none."""
    if not is_numeric(spec):
        return next((choice for choice in spec["choices"] if is_same_value(choice, value)), NO_FIT)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return NO_FIT
    step = spec.get("step") or (1 if spec["type"] == "int" else None)
    if step and not spec.get("log"):
        fitted = _on_grid(value, spec["low"], spec["high"], step)
    else:
        fitted = min(max(value, spec["low"]), spec["high"])
    return round(fitted) if spec["type"] == "int" else float(fitted)


def _on_grid(value: float, low: float, high: float, step: float) -> float:
    """The nearest of ``low``, ``low + step``, ... up to ``high``, in decimals as Optuna reckons: 0.1 * 3 is 0.3."""
    exact, start, end, width = (Decimal(str(number)) for number in (value, low, high, step))
    last = math.floor((end - start) / width + _ROUNDED)  # the upper bound may have been reckoned in binary
    place = min(max(round((exact - start) / width), 0), last)
    return float(min(start + place * width, end))


def fit_params(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration of another space can be used in this one; what cannot is left out."""
    fitted = {name: fit(space[name], value) for name, value in params.items() if name in space}
    return active_params(space, {name: value for name, value in fitted.items() if value is not NO_FIT})


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna's distributions."""
    return {name: _distribution(spec) for name, spec in space.items()}


def _distribution(spec: Spec) -> BaseDistribution:
    # Optuna takes half a second to import, and plans read spaces without it.
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    log = bool(spec.get("log"))
    if spec["type"] == "categorical":
        return CategoricalDistribution(tuple(spec["choices"]))
    if spec["type"] == "int":
        return IntDistribution(
            int(spec["low"]), int(spec["high"]), log=log, step=1 if log else int(spec.get("step") or 1)
        )
    return FloatDistribution(float(spec["low"]), float(spec["high"]), log=log, step=None if log else spec.get("step"))


def merged(spec: Spec, other: Spec) -> dict[str, Any]:
    """A parameter that has the values of both, as of a study whose bounds were changed while it ran; where one is a
    number and the other a choice, the second as it is.
    """
    if is_numeric(spec) != is_numeric(other):
        return dict(other)
    if not is_numeric(spec):
        new = [choice for choice in other["choices"] if not any(is_same_value(choice, old) for old in spec["choices"])]
        return {**other, "choices": [*spec["choices"], *new]}
    kind = "int" if spec["type"] == other["type"] == "int" else "float"
    low, high = min(spec["low"], other["low"]), max(spec["high"], other["high"])
    step = spec.get("step") if spec.get("step") == other.get("step") else None
    if step is not None and (_decimal(spec["low"]) - _decimal(other["low"])) % _decimal(step) != 0:
        step = None  # the steps of one lie between those of the other
    bounds = {"low": low, "high": high} if kind == "int" else {"low": float(low), "high": float(high)}
    return {"type": kind, **bounds, "log": bool(spec.get("log") and other.get("log")), "step": step}


def _decimal(number: float) -> Decimal:
    return Decimal(str(number))


def spec_of(distribution: BaseDistribution) -> dict[str, Any]:
    """An Optuna distribution as the job file would write it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return {"type": "categorical", "choices": list(distribution.choices)}
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        kind = "int" if isinstance(distribution, IntDistribution) else "float"
        bounds = {"low": distribution.low, "high": distribution.high}
        return {"type": kind, **bounds, "log": distribution.log, "step": distribution.step}
    raise ValueError(
        f"{type(distribution).__name__} is no distribution of Optuna 4 or later: use Float, Int or Categorical"
    )
