"""A family of smooth tasks: bowls in three dimensions whose lowest points lie near each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState

SPACE: dict[str, dict[str, Any]] = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x", "y", "z")}
CENTRE, STEEPNESS = np.array([0.25, 0.7, 0.4]), np.array([1.0, 2.0, 0.5])
APART = 0.05  # standard deviation of the lowest points


@dataclass(frozen=True)
class Bowl:
    """One task: its value is to be minimised, and 0 at its lowest point."""

    number: int

    @property
    def lowest(self) -> Any:
        return CENTRE + APART * np.random.default_rng([7, self.number]).normal(size=3)

    def value(self, params: Mapping[str, Any]) -> float:
        return float(STEEPNESS @ (np.array([params[name] for name in SPACE]) - self.lowest) ** 2)

    def objective(self, trial: optuna.Trial) -> float:
        return self.value({name: trial.suggest_float(name, 0.0, 1.0) for name in SPACE})

    def study(self, trials: int = 30, goal: str = "minimize") -> StudyRecord:
        """What random configurations gave; with the other goal, the worst of them counts as the best."""
        points = np.random.default_rng(self.number).random((trials, 3)).tolist()
        configs = [dict(zip(SPACE, point, strict=True)) for point in points]
        done = tuple(TrialRecord(n, c, TrialState.COMPLETED, self.value(c)) for n, c in enumerate(configs))
        created = datetime(2026, 1, 1, tzinfo=UTC)
        return StudyRecord(f"bowl-{self.number}", "bowls", "loss", goal, SPACE, created, trials=done)


def past_studies(count: int = 4, goal: str = "minimize") -> list[StudyRecord]:
    """Of other bowls than number 0."""
    return [Bowl(number).study(goal=goal) for number in range(1, count + 1)]
