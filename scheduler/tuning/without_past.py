"""What a study's trials say by themselves: a Gaussian process over their ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from .gaussian import Seen, expected_improvement, most_likely_kernel
from .kernels import JITTER, Array, Kernel
from .past import LEARNED_POINTS
from .ranking import bent_scores, misranked, thinned

_GROWTH = 1.15  # of a study, until its kernel is learned anew


class WithoutPast:
    """What was tried, like no other study. Columns of a cube, at least two rows, best first."""

    def __init__(self, tried: Array, numbers: Array, flying: Array) -> None:
        """Args:
        numbers: the trials' own, in the same order.
        flying: what is in flight, which is taken to come out as expected.
        """
        self.scores = bent_scores(len(tried))
        self._kernel, self._begun = kernel_of(tried, numbers), np.vstack([tried, flying])
        covariance = self._kernel.between(self._begun, self._begun)
        covariance += (self._kernel.noise + JITTER) * np.eye(len(covariance))
        count = len(tried)
        self._over = Seen(covariance[:count, :count], self.scores)
        believed = covariance[count:, :count] @ self._over.weights
        self._seen = Seen(covariance, np.concatenate([self.scores, believed])) if len(flying) else self._over
        # Of what was tried, without luck.
        self._best = float((self.scores - (self._kernel.noise + JITTER) * self._over.weights).min())

    def misranked(self) -> float:
        """How wrong it is where each trial is predicted from the others: see ``ranking``."""
        return misranked(self.scores - self._over.left_out)

    def gain(self, new: Array) -> Array:
        """Expected improvement of each new point."""
        seen = self._seen.posterior(self._kernel.between(self._begun, new), self._kernel.amplitude)
        return expected_improvement(seen, self._best)


def kernel_of(tried: Array, numbers: Array, scores: Callable[[int], Array] = bent_scores) -> Kernel:
    """Learned from the first of these points, best first, by their numbers: anew when there are a seventh more.

    Args:
        scores: of so many trials, best first.
    """
    count = 2
    while max(math.floor(count * _GROWTH), count + 1) <= len(tried):
        count = max(math.floor(count * _GROWTH), count + 1)
    first = np.sort(np.argsort(numbers, kind="stable")[:count])
    return _learned(tried[first].tobytes(), count, scores)


@lru_cache(maxsize=64)
def _learned(points: bytes, count: int, scores: Callable[[int], Array]) -> Kernel:
    """From points whose order is that of their scores."""
    columns, kept = np.frombuffer(points).reshape(count, -1), thinned(count, LEARNED_POINTS)
    return most_likely_kernel([columns[kept]], [scores(count)[kept]])
