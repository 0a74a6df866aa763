"""How much better each configuration is expected to be, with past studies and without.

With them, the new study is taken for one more of the past ones: a Gaussian process whose mean and covariance over
configurations are those of the past studies' predictions (Wang et al., Pre-trained Gaussian processes for Bayesian
optimization, JMLR 25, 2024), plus, where past studies are few, what their trials leave unknown, plus a part of its own
that none of them knew. How much of it is its own, how noisy it is, and whether the past counts at all, is weighed by
how likely that makes what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .gaussian import Posterior, expected_improvement, log_evidence, most_likely_kernel, posterior
from .kernels import JITTER, Array, Kernel, matern
from .past import PastStudies
from .ranking import normal_scores

MEAN_VARIANCE = 0.1  # of how much better or worse than past ones a study is as a whole
SPREAD = 0.15  # variance that past studies' predictions leave out
UNKNOWN = 0.5  # how much of what few past studies leave unknown counts
USED = 3  # of the likeliest assumptions
_DRAWS = 10
_GROWTH = 1.15  # of a study, until its kernel is learned anew


class Points(NamedTuple):
    """What a model is asked about, as columns of a cube; with past studies' predictions, where there are any."""

    columns: Array
    predicted: Array
    learned: Array  # as ``PastStudies.learned`` gives it


class Assumption(NamedTuple):
    task: float  # variance along the differences between past studies
    own: float  # of the part that is like none of them
    noise: float
    past_counts: bool

    @property
    def log_prior(self) -> float:
        """How likely it is beforehand, but for a constant."""
        return -0.5 * math.log(self.own / 0.2) ** 2 - 0.5 * (math.log(self.noise / 0.05) / 1.5) ** 2


ASSUMPTIONS = (
    *(Assumption(t, o, n, True) for t in (0.5, 1.5) for o in (0.05, 0.2, 0.8) for n in (0.02, 0.15)),
    *(Assumption(0.0, o, n, False) for o in (0.3, 1.0) for n in (0.02, 0.15)),
)


class WithPast:
    """What was tried, seen as one more study like the past ones. ``tried``: best first."""

    def __init__(self, past: PastStudies, tried: Points) -> None:
        self._model = _Model(past, tried)
        self._weighed = sorted(((self._model.log_evidence(each), each) for each in ASSUMPTIONS), reverse=True)
        likeliest = self._weighed[0][0]
        self._odds = [(math.exp(log - likeliest), each) for log, each in self._weighed]

    @property
    def log_odds(self) -> float:
        """That the past counts, against that it says nothing."""
        for_it = sum(odds for odds, each in self._odds if each.past_counts)
        against = sum(odds for odds, each in self._odds if not each.past_counts)
        if not for_it or not against:
            return math.inf if for_it else -math.inf
        return math.log(for_it) - math.log(against)

    @property
    def scores(self) -> Array:
        """What the places of what was tried are expected to mean, best first."""
        return self._model.scores

    def gain(self, flying: Points, new: Points) -> Array:
        """Expected improvement of each new point; what is in flight is taken to come out as expected."""
        used = [(odds, each) for odds, each in self._odds if each.past_counts][:USED]
        return self._model.gain(used, flying, new)


class _Likeness:
    """How alike two sets of points are, under any assumption."""

    def __init__(self, a: Points, b: Points, past: PastStudies) -> None:
        self._task = _deviations(a) @ _deviations(b).T
        per_length = past.kernel.per_length
        self._own = matern(a.columns * per_length, b.columns * per_length)
        self._unknown: Array | float = 0.0
        if past.are_few:
            self._unknown = UNKNOWN * (past.likeness(a.columns, b.columns) - a.learned @ b.learned.T)

    def under(self, assumed: Assumption) -> Array:
        """Covariances, without noise."""
        common = assumed.own * self._own + MEAN_VARIANCE
        return np.asarray(assumed.task * self._task + self._unknown + common if assumed.past_counts else common)


class _Model:
    """What was tried, under any assumption."""

    def __init__(self, past: PastStudies, tried: Points) -> None:
        self._past = past
        self._tried, self.scores = tried, expected_scores(tried.predicted)
        self._among_tried = _Likeness(tried, tried, past)

    def log_evidence(self, assumed: Assumption) -> float:
        return log_evidence(self._covariance(assumed), self._residual(assumed)) + assumed.log_prior

    def gain(self, odds: Sequence[tuple[float, Assumption]], flying: Points, new: Points) -> Array:
        """Expected improvement, summed over assumptions by their odds."""
        past = self._past
        to_new, to_flying = _Likeness(self._tried, new, past), _Likeness(self._tried, flying, past)
        flying_to_new, in_flight = _Likeness(flying, new, past), _Likeness(flying, flying, past)
        mean, apart = _mean(new), (_deviations(new) ** 2).sum(axis=1)
        unknown = UNKNOWN * (past.kernel.amplitude - (new.learned**2).sum(axis=1)) if past.are_few else 0.0
        gains = np.zeros(len(mean))
        for weight, assumed in odds:
            covariance, residual = self._covariance(assumed), self._residual(assumed)
            noise, cross = assumed.noise + JITTER, to_new.under(assumed)
            best = float((self.scores - noise * np.linalg.solve(covariance, residual)).min())
            if len(flying.columns):
                between = to_flying.under(assumed)
                believed = between.T @ np.linalg.solve(covariance, residual)
                own = in_flight.under(assumed) + noise * np.eye(len(believed))
                covariance = np.block([[covariance, between], [between.T, own]])
                cross = np.vstack([cross, flying_to_new.under(assumed)])
                residual = np.concatenate([residual, believed])
            variance = assumed.task * apart + unknown + (assumed.own + MEAN_VARIANCE)
            seen = posterior(covariance, cross, variance, residual)
            gains += weight * expected_improvement(Posterior(seen.mean + mean, seen.sd), best)
        return gains

    def _residual(self, assumed: Assumption) -> Array:
        return self.scores - _mean(self._tried) if assumed.past_counts else self.scores - self.scores.mean()

    def _covariance(self, assumed: Assumption) -> Array:
        return self._among_tried.under(assumed) + (assumed.noise + JITTER) * np.eye(len(self.scores))


def _mean(points: Points) -> Array:
    return np.asarray(points.predicted.mean(axis=1))


def _deviations(points: Points) -> Array:
    """From the mean over past studies; their products are the covariance between configurations over studies."""
    count = points.predicted.shape[1]
    return np.asarray((points.predicted - points.predicted.mean(axis=1, keepdims=True)) / math.sqrt(count))


def expected_scores(predicted: Array) -> Array:
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
    kernel = kernel_of(tried, numbers)
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


def kernel_of(tried: Array, numbers: Array) -> Kernel:
    """Learned from the first of these points, best first, by their numbers: anew when there are a seventh more."""
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
