"""What a study's trials say by themselves: a Gaussian process over their ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr

from spotwise.cost_models.arrays import Array

from .gaussian_process import (
    LOG_LENGTH_PRIOR,
    ConditionedGP,
    expected_improvement,
    log_improvement,
    most_likely_kernel,
)
from .kernels import JITTER, Kernel, LogNormalPrior
from .past_studies import MAX_KERNEL_TRIALS
from .rank_scores import misranked_share, thinned, warped_scores

# Lengths that are less certain beforehand: better where no past study counts and the search explores, worse elsewhere
# (docs/tuning.md). In widths of the range, as LOG_LENGTH_PRIOR.
WIDE_LOG_LENGTH_PRIOR = LogNormalPrior(math.log(0.7), 1.0)
_REFIT_GROWTH = 1.15  # of the trials, until the kernel is fitted anew: for each trial it was no better (docs/tuning.md)
_MAX_ITERATIONS = 30  # of L-BFGS-B in a search for local maxima. Not tuned
_MIN_VARIANCE = 1e-9  # squared scores: rounding may make a predicted variance negative


class SingleStudyGP:
    """A Gaussian process of one study's own trials, on the scale of warped normal scores: low is good."""

    def __init__(
        self, tried: Array, numbers: Array, pending: Array, log_length: LogNormalPrior = LOG_LENGTH_PRIOR
    ) -> None:
        """Args:
        tried: encoded configurations of the trials that are over, best first, shape (trials, columns); at least two.
        numbers: these trials' own, in the same order, shape (trials,).
        pending: encoded configurations that still run, shape (pending, columns); each is taken to come out at its
            predicted mean (the "kriging believer": Ginsbourger et al., 2010).
        log_length: the prior of the kernel's lengths.
        """
        self.scores = warped_scores(len(tried))
        self._kernel = fitted_kernel(tried, numbers, log_length=log_length)
        self._started = np.vstack([tried, pending])
        covariance = self._kernel.between(self._started, self._started)
        covariance += (self._kernel.noise + JITTER) * np.eye(len(covariance))
        count = len(tried)
        self._finished = ConditionedGP(covariance[:count, :count], self.scores)
        believed = covariance[count:, :count] @ self._finished.weights
        self._seen = (
            ConditionedGP(covariance, np.concatenate([self.scores, believed])) if len(pending) else self._finished
        )
        self.best = float(self.scores.min())
        smoothed = self.scores - (self._kernel.noise + JITTER) * self._finished.weights  # predicted at the trials
        self.best_denoised = float(smoothed.min())

    def misranked_share(self) -> float:
        """How wrong it is where each trial is predicted from the others: see ``rank_scores``."""
        return misranked_share(self.scores - self._finished.leave_one_out_residuals)

    def expected_improvement(self, new: Array, incumbent: float) -> Array:
        """Of each new point over a score, shape (new,), in scores.

        Args:
            new: encoded configurations, shape (new, columns).
            incumbent: ``best`` or ``best_denoised``.
        """
        seen = self._seen.posterior(self._kernel.between(self._started, new), self._kernel.amplitude)
        return expected_improvement(seen, incumbent)

    def local_maxima(self, points: Array, incumbent: float, may_move: NDArray[np.bool_]) -> Array:
        """Where expected improvement is greatest near each point, mostly: shape as ``points``.

        Args:
            points: where to begin, shape (points, columns).
            may_move: which columns may, between 0 and 1, shape (columns,).
        """

        def moved_to(place: Array) -> Array:
            moved = points.copy()
            moved[:, may_move] = place.reshape(len(points), -1)
            return moved

        def loss(place: Array) -> tuple[float, Array]:
            improvement, gradient = self.log_expected_improvement(moved_to(place), incumbent)
            return -float(improvement.sum()), -gradient[:, may_move].ravel()

        # All points in one search, which has as many steps as one of them would take.
        begin = points[:, may_move].ravel()
        bounds, options = [(0.0, 1.0)] * len(begin), {"maxiter": _MAX_ITERATIONS}
        found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return moved_to(found.x)

    def log_expected_improvement(self, new: Array, incumbent: float) -> tuple[Array, Array]:
        """Logarithm of expected improvement, shape (new,), and its gradient, shape (new, columns)."""
        cross, cross_gradient = self._kernel.between_and_gradient(new, self._started)
        solved = cross @ self._seen.inverse
        sd = np.sqrt(np.maximum(self._kernel.amplitude - (solved * cross).sum(axis=1), _MIN_VARIANCE))
        z = (incumbent - cross @ self._seen.weights) / sd
        log_of_unit = log_improvement(z)
        sd_gradient = -np.einsum("nbc,nb->nc", cross_gradient, solved) / sd[:, None]
        mean_gradient = np.einsum("nbc,b->nc", cross_gradient, self._seen.weights)
        z_gradient = -(mean_gradient + z[:, None] * sd_gradient) / sd[:, None]
        by_z = np.exp(log_ndtr(z) - log_of_unit)
        return np.log(sd) + log_of_unit, sd_gradient / sd[:, None] + by_z[:, None] * z_gradient


def fitted_kernel(
    tried: Array,
    numbers: Array,
    scores: Callable[[int], Array] = warped_scores,
    log_length: LogNormalPrior = LOG_LENGTH_PRIOR,
) -> Kernel:
    """The most likely kernel of a study's first trials: fitted anew when there are a seventh more of them.

    Args:
        tried: encoded configurations, best first, shape (trials, columns).
        numbers: of the trials, in the same order, shape (trials,).
        scores: of so many trials, best first.
        log_length: the prior of the kernel's lengths.
    """
    count = 2
    while max(math.floor(count * _REFIT_GROWTH), count + 1) <= len(tried):
        count = max(math.floor(count * _REFIT_GROWTH), count + 1)
    first = np.sort(np.argsort(numbers, kind="stable")[:count])
    return _fitted_to(tried[first].tobytes(), count, scores, log_length)


@lru_cache(maxsize=64)
def _fitted_to(points: bytes, count: int, scores: Callable[[int], Array], log_length: LogNormalPrior) -> Kernel:
    """From points whose order is that of their scores."""
    columns, kept = np.frombuffer(points).reshape(count, -1), thinned(count, MAX_KERNEL_TRIALS)
    return most_likely_kernel([columns[kept]], [scores(count)[kept]], log_length)
