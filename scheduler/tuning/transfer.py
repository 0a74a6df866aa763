"""How much better each configuration is expected to be, with past studies and without.

With them, the new study is taken for one more of the past ones: a Gaussian process whose mean and covariance over
configurations are those of the past studies' predictions (Wang et al., Pre-trained Gaussian processes for Bayesian
optimization, JMLR 25, 2024), plus a part of its own that none of them knew. How much of it is its own, how noisy it is,
and whether the past counts at all, is weighed by how likely that makes what was seen.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .gaussian import (
    JITTER,
    Array,
    Kernel,
    Posterior,
    expected_improvement,
    log_evidence,
    matern,
    most_likely_kernel,
    normal_scores,
    posterior,
)
from .past import PastStudies

MEAN_VARIANCE = 0.1  # of how much better or worse than past ones a study is as a whole
SPREAD = 0.15  # variance that past studies' predictions leave out
PAST_IS_LIKELY = 2.0  # log odds, before anything is seen
USED = 3  # of the likeliest assumptions
_DRAWS = 10
_GROWTH = 1.15  # of a study, until its kernel is learned anew


class Points(NamedTuple):
    """What a model is asked about, as columns of a cube; with past studies' predictions, where there are any."""

    columns: Array
    predicted: Array


class _Assumption(NamedTuple):
    task: float  # variance along the differences between past studies
    own: float  # of the part that is like none of them
    noise: float
    past_counts: bool

    @property
    def log_odds(self) -> float:
        """Beforehand."""
        usual = -0.5 * math.log(self.own / 0.2) ** 2 - 0.5 * (math.log(self.noise / 0.05) / 1.5) ** 2
        return usual + (PAST_IS_LIKELY if self.past_counts else 0.0)


_ASSUMPTIONS = (
    *(_Assumption(t, o, n, True) for t in (0.5, 1.5) for o in (0.03, 0.1, 0.3, 1.0) for n in (0.01, 0.05, 0.2)),
    *(_Assumption(0.0, o, n, False) for o in (0.3, 1.0) for n in (0.01, 0.05, 0.2)),
)


def gain_with_past(past: PastStudies, tried: Points, flying: Points, new: Points) -> Array | None:
    """Expected improvement of each new point; None where the past makes what was seen less likely than nothing would.

    ``tried``: best first. ``flying``: in flight, taken to come out as expected.
    """
    model = _Model(past, tried)
    weighed = sorted(((model.log_evidence(each), each) for each in _ASSUMPTIONS), reverse=True)
    most = weighed[0][0]
    with_past = sum(math.exp(log - most) for log, each in weighed if each.past_counts)
    without = sum(math.exp(log - most) for log, each in weighed if not each.past_counts)
    if with_past < without:
        return None
    used = [pair for pair in weighed if pair[1].past_counts][:USED]
    return np.asarray(sum(math.exp(log - most) * model.gain(each, flying, new) for log, each in used))


class _Model:
    """What was tried, under any assumption."""

    def __init__(self, past: PastStudies, tried: Points) -> None:
        self._per_length = past.kernel.per_length
        self._tried, self._scores = tried, _expected_scores(tried.predicted)
        self._alike = self._own(tried, tried)
        self._task = _deviations(tried) @ _deviations(tried).T

    def log_evidence(self, assumed: _Assumption) -> float:
        covariance = self._covariance(assumed)
        return log_evidence(covariance, self._residual(assumed)) + assumed.log_odds

    def gain(self, assumed: _Assumption, flying: Points, new: Points) -> Array:
        covariance, residual = self._covariance(assumed), self._residual(assumed)
        noise = assumed.noise + JITTER
        best = float((self._scores - noise * np.linalg.solve(covariance, residual)).min())
        cross, variance = self._cross(assumed, self._tried, new), self._variance(assumed, new)
        if len(flying.columns):
            between = self._cross(assumed, self._tried, flying)
            believed = between.T @ np.linalg.solve(covariance, residual)
            own = self._cross(assumed, flying, flying) + noise * np.eye(len(believed))
            covariance = np.block([[covariance, between], [between.T, own]])
            cross = np.vstack([cross, self._cross(assumed, flying, new)])
            residual = np.concatenate([residual, believed])
        seen = posterior(covariance, cross, variance, residual)
        return expected_improvement(Posterior(seen.mean + _mean(new), seen.sd), best)

    def _residual(self, assumed: _Assumption) -> Array:
        return self._scores - _mean(self._tried) if assumed.past_counts else self._scores - self._scores.mean()

    def _covariance(self, assumed: _Assumption) -> Array:
        noise = (assumed.noise + JITTER) * np.eye(len(self._scores))
        return np.asarray(assumed.task * self._task + assumed.own * self._alike + MEAN_VARIANCE + noise)

    def _cross(self, assumed: _Assumption, a: Points, b: Points) -> Array:
        task = assumed.task * _deviations(a) @ _deviations(b).T
        return np.asarray(task + assumed.own * self._own(a, b) + MEAN_VARIANCE)

    def _variance(self, assumed: _Assumption, new: Points) -> Array:
        return np.asarray(assumed.task * (_deviations(new) ** 2).sum(axis=1) + assumed.own + MEAN_VARIANCE)

    def _own(self, a: Points, b: Points) -> Array:
        return np.asarray(matern(a.columns * self._per_length, b.columns * self._per_length))


def _mean(points: Points) -> Array:
    return np.asarray(points.predicted.mean(axis=1))


def _deviations(points: Points) -> Array:
    """From the mean over past studies; their products are the covariance between configurations over studies."""
    count = points.predicted.shape[1]
    return (points.predicted - points.predicted.mean(axis=1, keepdims=True)) / math.sqrt(count)


def _expected_scores(predicted: Array) -> Array:
    """What values on the past studies' scale the best, the second, ... of these points are expected to have.

    The new study's own values are on a scale of their own, of which only the order is used.
    """
    rng = np.random.default_rng(0)
    noisy = predicted + math.sqrt(SPREAD) * rng.normal(size=(_DRAWS, *predicted.shape))
    return np.asarray(np.sort(noisy, axis=1).mean(axis=(0, 2)))


def gain_without_past(tried: Array, numbers: Array, flying: Array, new: Array) -> Array:
    """Expected improvement of each new point, from this study's trials alone. Columns; ``tried`` best first.

    ``numbers``: the trials' own, in the same order. The kernel is learned anew when there are a seventh more of them.
    """
    scores = normal_scores(len(tried))
    kernel = _kernel_of(tried, numbers)
    noise = kernel.noise + JITTER
    covariance = kernel.between(tried, tried) + noise * np.eye(len(tried))
    weights = np.linalg.solve(covariance, scores)
    best = float((scores - noise * weights).min())
    if len(flying):
        between = kernel.between(tried, flying)
        own = kernel.between(flying, flying) + noise * np.eye(len(flying))
        covariance = np.block([[covariance, between], [between.T, own]])
        tried, scores = np.vstack([tried, flying]), np.concatenate([scores, between.T @ weights])
    seen = posterior(covariance, kernel.between(tried, new), kernel.amplitude, scores)
    return expected_improvement(seen, best)


def _kernel_of(tried: Array, numbers: Array) -> Kernel:
    count = 2
    while max(math.floor(count * _GROWTH), count + 1) <= len(tried):
        count = max(math.floor(count * _GROWTH), count + 1)
    first = np.sort(np.argsort(numbers, kind="stable")[:count])
    return _learned(tried[first].tobytes(), count)


@lru_cache(maxsize=64)
def _learned(points: bytes, count: int) -> Kernel:
    """From points whose order is that of their scores."""
    columns = np.frombuffer(points).reshape(count, -1)
    return most_likely_kernel([columns], [normal_scores(count)])
