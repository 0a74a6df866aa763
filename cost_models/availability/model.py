"""How a pool's spot capacity comes and goes: spells with and without it, under regimes that shift.

A pool is in one of K regimes. In a regime, a spell (time with spot capacity, or without) ends at a hazard of its own
for each phase of the spell's age: young spells end sooner than old ones. Now and then the pool shifts to another
regime. Whether there is capacity can be seen; the regime cannot, and is inferred (see ``belief``). That is a hidden
semi-Markov model with phase-type ages (Yu, Hidden semi-Markov models, Artificial Intelligence 174, 2010), fitted by
``benchmarks/pool_model_fit.py``. Symbols: docs/notation.md.

A state is a regime and a place in a spell. Vectors over states have shape (K * 2A,): for each regime first the A phases
without capacity, then the A phases with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..errors import CostModelError

TICK_HOURS = 1 / 6  # the step that hazards are stated for
PHASE_TICKS = (1, 1, 1, 1, 2, 3, 6, 9, 18, 36)  # mean length of each phase of a spell's age; the last one is endless
PHASES = len(PHASE_TICKS) + 1
ADVANCE = np.array([*(1 / ticks for ticks in PHASE_TICKS), 0.0])
_LONG = 1 << 14  # ticks; any pool has forgotten by then where it began
SHIPPED = "pool-regimes-2026-11-25.json"


class Steps(NamedTuple):
    """A step of some length: chances from each state (rows) to each state (columns)."""

    any: Array  # (states, states): whatever happens
    unbroken: Array  # (states, states): and the spell goes on all the while; rows add up to less than 1


@dataclass(frozen=True, eq=False)
class PoolModel:
    """Regimes, and how likely each is.

    Raises:
        CostModelError: shapes that do not fit, or chances that are none.
    """

    hazard: Array  # (K, 2, PHASES): chance a tick that a spell ends; [:, 0] without capacity, [:, 1] with it
    shift: Array  # (K, K): chance a tick of going from one regime to another; rows add up to 1
    prior: Array  # (K,): chance that a pool nobody has seen is in each
    source: str = ""

    def __post_init__(self) -> None:
        regimes = len(self.prior)
        if self.hazard.shape != (regimes, 2, PHASES) or self.shift.shape != (regimes, regimes):
            raise CostModelError(
                f"a model of {regimes} regimes needs hazards of shape {(regimes, 2, PHASES)} and shifts of shape "
                f"{(regimes, regimes)}, not {self.hazard.shape} and {self.shift.shape}"
            )
        whole = np.allclose(self.shift.sum(axis=1), 1.0) and math.isclose(float(self.prior.sum()), 1.0, rel_tol=1e-6)
        if not whole or min(self.hazard.min(), self.shift.min(), self.prior.min()) < 0 or self.hazard.max() > 1:
            raise CostModelError("a model of pools needs chances between 0 and 1, with rows that add up to 1")

    @property
    def regimes(self) -> int:
        """K: how many regimes there are."""
        return len(self.prior)

    @property
    def states(self) -> int:
        """K * 2A: how many states there are."""
        return self.regimes * 2 * PHASES

    @cached_property
    def has_capacity(self) -> Array:
        """(states,): 1 where there is capacity, else 0."""
        return np.tile(np.repeat([0.0, 1.0], PHASES), self.regimes)

    @cached_property
    def unseen(self) -> Array:
        """(states,): the chance of each state for a pool that nobody has looked at yet."""
        step = _within_regimes(self.hazard, ADVANCE)
        resting = np.stack([np.linalg.matrix_power(each, _LONG).mean(axis=0) for each in step])
        start = (resting * self.prior[:, None]).ravel()
        return np.asarray(start / start.sum())

    @cached_property
    def hours_unbroken(self) -> Array:
        """(states,): expected hours until the spell that a pool is in ends."""
        unbroken = self.steps(TICK_HOURS).unbroken
        return np.asarray(TICK_HOURS * np.linalg.solve(np.eye(self.states) - unbroken, np.ones(self.states)))

    def steps(self, hours: float) -> Steps:
        """The step of so many hours, as matrices of shape (states, states); whole ticks where it is longer than one.

        Raises:
            CostModelError: the step has no length.
        """
        if not 0 < hours < math.inf:
            raise CostModelError(f"a step has a length above 0 h, not {hours}")
        ticks = hours / TICK_HOURS
        return _steps(self, min(round(ticks), _LONG) if ticks > 1.0 else max(round(ticks, 2), 0.01))

    def to_json(self) -> dict[str, Any]:
        """The model as ``from_json`` reads it, with four digits."""
        return {
            "source": self.source,
            "tick_hours": round(TICK_HOURS, 6),
            "phase_ticks": list(PHASE_TICKS),
            "regimes": [
                {
                    "prior": _short(self.prior[k]),
                    "ends_without_capacity": [_short(value) for value in self.hazard[k, 0]],
                    "ends_with_capacity": [_short(value) for value in self.hazard[k, 1]],
                    "shifts_to": [_short(value) for value in self.shift[k]],
                }
                for k in range(self.regimes)
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PoolModel:
        """The model that ``to_json`` gave.

        Raises:
            CostModelError: the data do not describe a model.
        """
        try:
            regimes: Sequence[Mapping[str, Any]] = data["regimes"]
            ends = ("ends_without_capacity", "ends_with_capacity")
            hazard = np.array([[regime[end] for end in ends] for regime in regimes], dtype=float)
            shift = np.array([regime["shifts_to"] for regime in regimes], dtype=float)
            prior = np.array([regime["prior"] for regime in regimes], dtype=float)
            if tuple(data["phase_ticks"]) != PHASE_TICKS:
                raise ValueError(f"phases of {data['phase_ticks']} ticks, not of {list(PHASE_TICKS)}")
        except (KeyError, TypeError, ValueError) as error:
            raise CostModelError(f"not a model of pools: {error}; fit it again") from error
        return cls(hazard, shift / shift.sum(axis=1, keepdims=True), prior / prior.sum(), str(data.get("source", "")))


@lru_cache(maxsize=128)
def _steps(model: PoolModel, ticks: float) -> Steps:
    if ticks > 1:
        one, count = _steps(model, 1.0), int(ticks)
        return Steps(np.linalg.matrix_power(one.any, count), np.linalg.matrix_power(one.unbroken, count))
    shift = np.eye(model.regimes) + ticks * (model.shift - np.eye(model.regimes))
    within = _within_regimes(1.0 - (1.0 - model.hazard) ** ticks, ticks * ADVANCE)
    whole = (shift[:, None, :, None] * within.transpose(1, 0, 2)[None]).reshape(model.states, model.states)
    same = model.has_capacity[:, None] == model.has_capacity[None, :]
    return Steps(whole, whole * same)


@cache
def shipped_model() -> PoolModel:
    """What was learned from recorded pools, for any pool; see the source in it and ``cost_models/data/README.md``."""
    file = resources.files("spotwise.cost_models") / "data" / SHIPPED
    return PoolModel.from_json(json.loads(file.read_text(encoding="utf-8")))


def _within_regimes(hazard: Array, advance: Array) -> Array:
    """(K, 2A, 2A): the step of a tick while the regime stays."""
    step = np.zeros((len(hazard), 2 * PHASES, 2 * PHASES))
    for there in (0, 1):
        for phase in range(PHASES):
            row, ends = there * PHASES + phase, hazard[:, there, phase]
            step[:, row, (1 - there) * PHASES] = ends
            step[:, row, row] += (1 - ends) * (1 - advance[phase])
            if phase + 1 < PHASES:
                step[:, row, row + 1] += (1 - ends) * advance[phase]
    return step


def _short(value: float) -> float:
    """Four digits: more than any recording supports."""
    return float(f"{value:.4g}")
