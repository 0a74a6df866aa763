"""What a trial of each configuration costs: it depends on its batch size, its width, its epochs.

Costs are learned as logarithms, in which one data set or machine differs from another by a constant: past studies give
the shape, whatever their trials took there, and this study's own trials say where they differ. How much of them is
luck, such as preemptions, is weighed by how likely that makes what was seen. Pure numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialRecord, TrialState
from ..study.search_space import shared_names
from ..study.study_state import TrialPhase, TrialView
from .encoding import Cube
from .kernels import JITTER, Kernel

LEAST_TRIALS = 3  # of a past study, whose costs are known
MOST_POINTS = 200  # of all past studies
WIDEST = math.log(100.0)  # from the mean, either way: what is predicted lies within
_LENGTH = 0.5  # of the kernel; per square root of the columns, as distances in a cube grow
_LUCK = (0.02, 0.1, 0.5, 2.0, 10.0)  # variances, where what a configuration determines has 1
_LUCK_BELIEVED = (math.log(0.1), 1.5)  # beforehand, as mean and standard deviation of the logarithm
_SPREAD, _COUNTS_AS = 0.3, 4  # of logarithms beforehand, and how many trials it weighs as much as


class TrialCostModel:
    """Of a space's configurations."""

    def __init__(self, studies: Sequence[StudyRecord], cube: Cube) -> None:
        """``studies``: past ones, as far as they share parameters with the space and their trials' costs are known."""
        most = max(LEAST_TRIALS, MOST_POINTS // max(1, len(studies)))
        seen = [each for each in (_seen(study, cube, most) for study in studies) if each is not None]
        nowhere = cube.columns(cube.rows([]))
        self._past = _Curve(
            np.vstack([nowhere, *(points for points, _ in seen)]), np.concatenate([[], *(logs for _, logs in seen)])
        )

    def of(self, columns: Array, tried: Array, costs: Array) -> Array:
        """What each configuration is expected to cost, shape (rows,).

        Args:
            columns: of the configurations, in the cube.
            tried: of this study's trials.
            costs: of these, in any unit; NaN where one is not known. The result is in the same unit, and where none is
                known in that of an average configuration.
        """
        known = np.isfinite(costs) & (costs > 0.0)
        logs, mean = self._past.at(columns), 0.0
        if known.any():
            at = tried[known]
            off = np.log(costs[known]) - self._past.at(at)
            mean = float(off.mean())
            logs = logs + _Curve(at, off - mean).at(columns)
        return np.asarray(np.exp(mean + np.clip(logs, -WIDEST, WIDEST)))


class _Curve:
    """A smooth function through noisy values."""

    def __init__(self, points: Array, values: Array) -> None:
        width = max(1, points.shape[1])
        kernel = Kernel(np.full(points.shape[1], 1.0 / (_LENGTH * math.sqrt(width))), 1.0, 0.0)
        self._kernel, self._points = kernel, points
        likeness = kernel.between(points, points)
        found = [_weighed(likeness, values, luck) for luck in _LUCK]
        odds = np.exp(np.array([log for log, _ in found]) - max(log for log, _ in found))
        self._weights = odds @ np.array([weights for _, weights in found]) / odds.sum()

    def at(self, points: Array) -> Array:
        return np.asarray(self._kernel.between(points, self._points) @ self._weights)


def _weighed(likeness: Array, values: Array, luck: float) -> tuple[float, Array]:
    """How likely so much luck is, as a logarithm but for a constant, and each value's weight in what is predicted then.

    How much values vary is not assumed, but follows: the likeliest variance, with a few values' worth of prior belief.
    """
    lower = np.linalg.cholesky(likeness + (luck + JITTER) * np.eye(len(values)))
    white = np.linalg.solve(lower, values)
    count = len(values) + _COUNTS_AS
    variance = (float(white @ white) + _COUNTS_AS * _SPREAD**2 / (1.0 + luck)) / count
    evidence = -0.5 * count * math.log(variance) - float(np.log(np.diag(lower)).sum())
    middle, spread = _LUCK_BELIEVED
    return evidence - 0.5 * ((math.log(luck) - middle) / spread) ** 2, np.linalg.solve(lower.T, white)


def whole_seconds(seconds: float, epoch: int, epochs: int | None, *, completed: bool) -> float | None:
    """What a training would have taken had it not been stopped; None where nothing tells.

    One that was is taken to have gone on at its pace from the epoch it came to.
    """
    if seconds <= 0.0:
        return None
    if completed:
        return seconds
    return seconds * max(1.0, epochs / epoch) if epochs and epoch else None


def _seen(study: StudyRecord, cube: Cube, most: int) -> tuple[Array, Array] | None:
    """Columns of its trials, and the logarithms of their costs, less the mean."""
    shared = set(shared_names(cube.space, study.space))
    done = [trial.epoch for trial in study.trials if trial.state is TrialState.COMPLETED and trial.epoch]
    epochs = int(median(done)) if done else 0
    costs = {trial.number: _whole_seconds(trial, epochs) for trial in study.trials}
    known = [trial for trial in study.trials if costs[trial.number] is not None]
    if not shared or len(known) < LEAST_TRIALS:
        return None
    kept = [known[i] for i in np.linspace(0, len(known) - 1, min(most, len(known))).astype(int)]
    rows = cube.rows([{name: v for name, v in trial.params.items() if name in shared} for trial in kept])
    logs = np.log(np.array([costs[trial.number] for trial in kept], dtype=float))
    return cube.columns(cube.snapped(rows)), logs - logs.mean()


def _whole_seconds(trial: TrialRecord, epochs: int) -> float | None:
    if trial.state not in (TrialState.COMPLETED, TrialState.PRUNED):
        return None
    return whole_seconds(trial.seconds, trial.epoch, epochs, completed=trial.state is TrialState.COMPLETED)


def seconds_of(trial: TrialView, epochs: int | None) -> float | None:
    """What its whole training takes of a machine, at the pace of what has been done; None where nothing tells."""
    if trial.phase is TrialPhase.FAILED:
        return None
    completed = trial.phase is TrialPhase.COMPLETED
    return whole_seconds(machine_seconds(trial), trial.epoch, epochs, completed=completed)


def machine_seconds(trial: TrialView) -> float:
    """Seconds of the whole machine that a trial held: one that shares it counts by its share.

    Holds that a killed host left open are not known.
    """
    return sum(float(hold.share) * _length(hold.start, hold.end) for hold in trial.holds if hold.end is not None)


def _length(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
