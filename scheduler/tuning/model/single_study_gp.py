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

from .gaussian_process import LENGTH, Observations, expected_improvement, log_improvement, most_likely_kernel
from .kernels import JITTER, Kernel
from .past_studies import LEARNED_POINTS
from .rank_scores import bent_scores, misranked, thinned

OPEN_LENGTH = (math.log(0.7), 1.0)  # of a kernel: as ``LENGTH``, but open to smoother functions
_GROWTH = 1.15  # of a study, until its kernel is learned anew
_STEPS = 30  # of a climb


class SingleStudyGP:
    """What was tried, like no other study. Columns of a cube, at least two rows, best first."""

    def __init__(self, tried: Array, numbers: Array, pending: Array, length: tuple[float, float] = LENGTH) -> None:
        """Args:
        numbers: the trials' own, in the same order.
        flying: what is in flight, which is taken to come out as expected.
        length: what is believed beforehand of the kernel's: see ``most_likely_kernel``.
        """
        self.scores = bent_scores(len(tried))
        self._kernel = kernel_of(tried, numbers, length=length)
        self._begun = np.vstack([tried, pending])
        covariance = self._kernel.between(self._begun, self._begun)
        covariance += (self._kernel.noise + JITTER) * np.eye(len(covariance))
        count = len(tried)
        self._over = Observations(covariance[:count, :count], self.scores)
        believed = covariance[count:, :count] @ self._over.weights
        self._seen = Observations(covariance, np.concatenate([self.scores, believed])) if len(pending) else self._over
        self.best = float(self.scores.min())
        self.best_without_luck = float((self.scores - (self._kernel.noise + JITTER) * self._over.weights).min())

    def misranked(self) -> float:
        """How wrong it is where each trial is predicted from the others: see ``ranking``."""
        return misranked(self.scores - self._over.left_out)

    def gain(self, new: Array, bar: float) -> Array:
        """Expected improvement of each new point over a score: ``best`` or ``best_without_luck``."""
        seen = self._seen.posterior(self._kernel.between(self._begun, new), self._kernel.amplitude)
        return expected_improvement(seen, bar)

    def summits(self, points: Array, bar: float, may_move: NDArray[np.bool_]) -> Array:
        """Where expected improvement is greatest near each point, mostly: shape as ``points``.

        Args:
            may_move: (columns,), which of them may, between 0 and 1.
        """

        def moved_to(place: Array) -> Array:
            moved = points.copy()
            moved[:, may_move] = place.reshape(len(points), -1)
            return moved

        def loss(place: Array) -> tuple[float, Array]:
            log_gain, slope = self.log_gain(moved_to(place), bar)
            return -float(log_gain.sum()), -slope[:, may_move].ravel()

        # All points in one search, which has as many steps as one of them would take.
        begin = points[:, may_move].ravel()
        options = {"maxiter": _STEPS}
        found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(begin), options=options)
        return moved_to(found.x)

    def log_gain(self, new: Array, bar: float) -> tuple[Array, Array]:
        """Logarithm of expected improvement, shape (new,), and its slope, shape (new, columns)."""
        cross, slope = self._kernel.with_slope(new, self._begun)
        solved = cross @ self._seen.inverted
        sd = np.sqrt(np.maximum(self._kernel.amplitude - (solved * cross).sum(axis=1), 1e-9))
        ahead = (bar - cross @ self._seen.weights) / sd
        log_share = log_improvement(ahead)
        sd_slope = -np.einsum("nbc,nb->nc", slope, solved) / sd[:, None]
        ahead_slope = -(np.einsum("nbc,b->nc", slope, self._seen.weights) + ahead[:, None] * sd_slope) / sd[:, None]
        by_ahead = np.exp(log_ndtr(ahead) - log_share)
        return np.log(sd) + log_share, sd_slope / sd[:, None] + by_ahead[:, None] * ahead_slope


def kernel_of(
    tried: Array,
    numbers: Array,
    scores: Callable[[int], Array] = bent_scores,
    length: tuple[float, float] = LENGTH,
) -> Kernel:
    """Learned from the first of these points, best first, by their numbers: anew when there are a seventh more.

    Args:
        scores: of so many trials, best first.
        length: what is believed beforehand of the kernel's: see ``most_likely_kernel``.
    """
    count = 2
    while max(math.floor(count * _GROWTH), count + 1) <= len(tried):
        count = max(math.floor(count * _GROWTH), count + 1)
    first = np.sort(np.argsort(numbers, kind="stable")[:count])
    return _learned(tried[first].tobytes(), count, scores, length)


@lru_cache(maxsize=64)
def _learned(points: bytes, count: int, scores: Callable[[int], Array], length: tuple[float, float]) -> Kernel:
    """From points whose order is that of their scores."""
    columns, kept = np.frombuffer(points).reshape(count, -1), thinned(count, LEARNED_POINTS)
    return most_likely_kernel([columns[kept]], [scores(count)[kept]], length)
