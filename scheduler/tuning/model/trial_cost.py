"""What a trial of each configuration costs: it depends on its batch size, its width, its epochs.

Costs are learned as logarithms, in which one data set or machine differs from another by a constant: past studies give
the shape, whatever their trials took there, and this study's own trials say where they differ. How much of them is
noise, such as preemptions, is weighted by how likely that makes what was seen.
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
from .encoding import UnitCube
from .kernels import JITTER, Kernel, LogNormalPrior

# None of these is tuned.
MIN_TRIALS = 3  # of a past study whose costs are known
MAX_TRIALS = 200  # of all past studies together
MAX_LOG_RATIO = math.log(100.0)  # of a predicted cost to the mean, either way
_LENGTH_SCALE = 0.5  # of the kernel, in widths per square root of the columns, as distances in a cube grow
_NOISE_RATIOS = (0.02, 0.1, 0.5, 2.0, 10.0)  # variance of noise over that of what a configuration determines
_LOG_NOISE_RATIO_PRIOR = LogNormalPrior(math.log(0.1), 1.5)
_PRIOR_LOG_SD = 0.3  # of logarithms of cost beforehand
_PRIOR_TRIALS = 4  # that this counts as much as


class TrialCostModel:
    """What trials of a space's configurations cost."""

    def __init__(self, studies: Sequence[StudyRecord], cube: UnitCube) -> None:
        """``studies``: past ones, as far as they share parameters with the space and their trials' costs are known."""
        most = max(MIN_TRIALS, MAX_TRIALS // max(1, len(studies)))
        known = [each for each in (_log_costs(study, cube, most) for study in studies) if each is not None]
        nowhere = cube.columns(cube.rows([]))
        self._past = _CostRegression(
            np.vstack([nowhere, *(points for points, _ in known)]), np.concatenate([[], *(logs for _, logs in known)])
        )

    def predict(self, columns: Array, tried: Array, costs: Array) -> Array:
        """What each configuration is expected to cost, shape (rows,).

        Args:
            columns: encoded configurations, shape (rows, columns).
            tried: those of this study's trials, shape (trials, columns).
            costs: of these, shape (trials,), in any unit; NaN where one is not known. The result is in the
                same unit, and where none is known in that of an average configuration.
        """
        known = np.isfinite(costs) & (costs > 0.0)
        logs, mean = self._past.at(columns), 0.0
        if known.any():
            at = tried[known]
            offsets = np.log(costs[known]) - self._past.at(at)
            mean = float(offsets.mean())
            logs = logs + _CostRegression(at, offsets - mean).at(columns)
        return np.asarray(np.exp(mean + np.clip(logs, -MAX_LOG_RATIO, MAX_LOG_RATIO)))


class _CostRegression:
    """A Gaussian process regression of log costs, averaged over noise ratios (Rasmussen and Williams 2006, 2.2)."""

    def __init__(self, points: Array, values: Array) -> None:
        width = max(1, points.shape[1])
        kernel = Kernel(np.full(points.shape[1], 1.0 / (_LENGTH_SCALE * math.sqrt(width))), 1.0, 0.0)
        self._kernel, self._points = kernel, points
        correlations = kernel.between(points, points)
        found = [_fitted(correlations, values, noise_ratio) for noise_ratio in _NOISE_RATIOS]
        odds = np.exp(np.array([log for log, _ in found]) - max(log for log, _ in found))
        self._weights = odds @ np.array([weights for _, weights in found]) / odds.sum()

    def at(self, points: Array) -> Array:
        return np.asarray(self._kernel.between(points, self._points) @ self._weights)


def _fitted(correlations: Array, values: Array, noise_ratio: float) -> tuple[float, Array]:
    """Log posterior of a noise ratio, but for a constant, and each value's weight in what is predicted then.

    How much values vary is not assumed, but follows: the most likely variance, with a prior worth a few values.

    Args:
        correlations: of the points, shape (n, n).
        values: log costs at these, shape (n,).
    """
    lower = np.linalg.cholesky(correlations + (noise_ratio + JITTER) * np.eye(len(values)))
    white = np.linalg.solve(lower, values)
    count = len(values) + _PRIOR_TRIALS
    variance = (float(white @ white) + _PRIOR_TRIALS * _PRIOR_LOG_SD**2 / (1.0 + noise_ratio)) / count
    evidence = -0.5 * count * math.log(variance) - float(np.log(np.diag(lower)).sum())
    off = (math.log(noise_ratio) - _LOG_NOISE_RATIO_PRIOR.mean) / _LOG_NOISE_RATIO_PRIOR.sd
    return evidence - 0.5 * off**2, np.linalg.solve(lower.T, white)


def whole_seconds(seconds: float, epoch: int, epochs: int | None, *, completed: bool) -> float | None:
    """What a training would have taken had it not been stopped; None where nothing tells.

    One that was is taken to have gone on at its pace from the epoch it came to.
    """
    if seconds <= 0.0:
        return None
    if completed:
        return seconds
    return seconds * max(1.0, epochs / epoch) if epochs and epoch else None


def _log_costs(study: StudyRecord, cube: UnitCube, most: int) -> tuple[Array, Array] | None:
    """Columns of its trials, and the logarithms of their costs, less the mean."""
    shared = set(shared_names(cube.space, study.space))
    done = [trial.epoch for trial in study.trials if trial.state is TrialState.COMPLETED and trial.epoch]
    epochs = int(median(done)) if done else 0
    costs = {trial.number: _whole_seconds(trial, epochs) for trial in study.trials}
    known = [trial for trial in study.trials if costs[trial.number] is not None]
    if not shared or len(known) < MIN_TRIALS:
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
