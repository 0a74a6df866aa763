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
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from .gaussian_process import Observations, Posterior, expected_improvement, log_evidence
from .kernels import JITTER, matern
from .past_studies import PastStudies
from .rank_scores import misranked, thinned

MEAN_VARIANCE = 0.1  # of how much better or worse than past ones a study is as a whole
SPREAD = 0.15  # variance that past studies' predictions leave out
TURNED = 0.1  # odds beforehand that past studies mean the opposite, as where a goal was entered wrongly
UNKNOWN = 0.5  # how much of what few past studies leave unknown counts
WEIGHED = 60  # trials, by which assumptions are weighed: with more of them the answer is clear, and dear
USED = 3  # of the likeliest assumptions
_DRAWS = 10
_BLOCK = 15_000  # covariances that are looked at together: so few stay near the processor


class Points(NamedTuple):
    """What a model is asked about, as columns of a cube; with what past studies say of it, where there are any."""

    columns: Array
    predicted: Array  # (points, studies)
    deviations: Array  # from the mean over studies; their products are covariances between points over studies
    learned: Array  # as ``PastStudies.learned`` gives it

    @classmethod
    def of(cls, past: PastStudies, columns: Array) -> Points:
        """Columns of shape (points, columns) with what past studies predict there."""
        if not past.count:
            return cls(columns, *[np.zeros((len(columns), 0))] * 3)
        predicted = past.predict(columns)
        deviations = (predicted - predicted.mean(axis=1, keepdims=True)) / math.sqrt(past.count)
        return cls(columns, predicted, deviations, past.learned(columns))

    def mean(self, *, turned: bool) -> Array:
        """Over studies, as they say or the opposite."""
        mean = np.asarray(self.predicted.mean(axis=1))
        return -mean if turned else mean

    def at(self, places: slice | NDArray[np.intp]) -> Points:
        """Some of them."""
        return Points(*(part[places] for part in self))

    @classmethod
    def together(cls, parts: Sequence[Points]) -> Points:
        return cls(*(np.vstack(of) for of in zip(*parts, strict=True)))


class Assumption(NamedTuple):
    """Variances of the parts that a study consists of, and whether past studies are one of them."""

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


class TransferGP:
    """What was tried, seen as one more study like the past ones, or as their opposite. ``tried``: best first."""

    def __init__(self, past: PastStudies, tried: Points) -> None:
        self._model = _Model(past, tried)
        logs = {assumed: self._model.log_evidence(assumed) for assumed in ASSUMPTIONS}
        alone = np.logaddexp.reduce([log for assumed, log in logs.items() if not assumed.past_counts], axis=0)
        self._weighed = sorted(
            (
                _Weighed(float(log[turned] - alone[turned]) + turned * math.log(TURNED), assumed, bool(turned))
                for assumed, log in logs.items()
                if assumed.past_counts
                for turned in (0, 1)
            ),
            reverse=True,
        )

    @property
    def log_odds(self) -> float:
        """That the past counts, against that it says nothing."""
        return float(np.logaddexp.reduce([each.log_odds for each in self._weighed]))

    @property
    def scores(self) -> Array:
        """What the places of what was tried are expected to mean, best first."""
        return self._model.scores[int(self._weighed[0].turned)]

    def misranked(self) -> float:
        """How wrong the likeliest assumption is where each trial is predicted from the others: see ``ranking``."""
        _, assumed, turned = self._weighed[0]
        return self._model.misranked(assumed, turned=turned)

    def gain(self, pending: Points, new: Points) -> Array:
        """Expected improvement of each new point; what is in flight is taken to come out as expected."""
        return self._model.gain(self._weighed[:USED], pending, new)


class _Weighed(NamedTuple):
    log_odds: float  # against that the past says nothing
    assumed: Assumption
    turned: bool  # what past studies call good is bad here


class _Likeness:
    """How alike two sets of points are, under any assumption."""

    def __init__(self, a: Points, b: Points, past: PastStudies) -> None:
        self._task = a.deviations @ b.deviations.T
        per_length = past.kernel.per_length
        self._own = matern(a.columns * per_length, b.columns * per_length)
        self._unknown: Array | float = 0.0
        if past.are_few:
            self._unknown = UNKNOWN * (past.likeness(a.columns, b.columns) - a.learned @ b.learned.T)

    def under(self, assumed: Assumption) -> Array:
        """Covariances, without noise."""
        common = assumed.own * self._own + MEAN_VARIANCE
        return np.asarray(assumed.task * self._task + self._unknown + common if assumed.past_counts else common)

    def seen_under(self, assumed: Assumption) -> Array:
        """Covariances of what was seen at points, of these among themselves."""
        return self.under(assumed) + (assumed.noise + JITTER) * np.eye(len(self._own))


class _Model:
    """What was tried, under any assumption, as past studies say or turned round."""

    def __init__(self, past: PastStudies, tried: Points) -> None:
        self._past, self._tried = past, tried
        self.scores = [expected_scores(sign * tried.predicted) for sign in (1.0, -1.0)]
        # As past studies say and turned round, if the past counts; and the same if it does not.
        self._residuals = np.stack(
            [scores - tried.mean(turned=bool(i)) for i, scores in enumerate(self.scores)], axis=1
        )
        self._residuals_alone = np.stack([scores - scores.mean() for scores in self.scores], axis=1)
        self._weighed_by = thinned(len(tried.columns), WEIGHED)
        some = tried.at(self._weighed_by)
        self._among_some = _Likeness(some, some, past)

    def log_evidence(self, assumed: Assumption) -> Array:
        """As past studies say, and turned round."""
        residuals = self._residuals if assumed.past_counts else self._residuals_alone
        return log_evidence(self._among_some.seen_under(assumed), residuals[self._weighed_by]) + assumed.log_prior

    def misranked(self, assumed: Assumption, *, turned: bool) -> float:
        covariance = _Likeness(self._tried, self._tried, self._past).seen_under(assumed)
        return misranked(self.scores[int(turned)] - Observations(covariance, self._residuals[:, int(turned)]).left_out)

    def gain(self, weighed: Sequence[_Weighed], pending: Points, new: Points) -> Array:
        """Expected improvement, mean over assumptions that count the past, by their odds."""
        begun = Points.together([self._tried, pending])
        among_begun = _Likeness(begun, begun, self._past)
        known = [self._known(among_begun, assumed, turned=turned) for _, assumed, turned in weighed]
        odds = np.exp(np.array([each.log_odds for each in weighed]) - weighed[0].log_odds)
        gains, size = [], max(1, _BLOCK // len(begun.columns))
        for block in (new.at(slice(start, start + size)) for start in range(0, len(new.columns), size)):
            to_begun = _Likeness(begun, block, self._past)
            own = self._past.kernel.amplitude - (block.learned**2).sum(axis=1) if self._past.are_few else 0.0
            apart = (block.deviations**2).sum(axis=1)
            each = []
            for (seen, best), (_, assumed, turned) in zip(known, weighed, strict=True):
                variance = assumed.task * apart + UNKNOWN * own + (assumed.own + MEAN_VARIANCE)
                mean, sd = seen.posterior(to_begun.under(assumed), variance)
                each.append(expected_improvement(Posterior(mean + block.mean(turned=turned), sd), best))
            gains.append(odds @ each / odds.sum())
        return np.concatenate(gains)

    def _known(self, among_begun: _Likeness, assumed: Assumption, *, turned: bool) -> tuple[Observations, float]:
        """Once what is in flight came out as expected; and the best of what was tried, without luck."""
        covariance, residual = among_begun.seen_under(assumed), self._residuals[:, int(turned)]
        count = len(residual)
        seen = Observations(covariance[:count, :count], residual)
        best = float((self.scores[int(turned)] - (assumed.noise + JITTER) * seen.weights).min())
        if count < len(covariance):
            believed = covariance[count:, :count] @ seen.weights
            seen = Observations(covariance, np.concatenate([residual, believed]))
        return seen, best


def expected_scores(predicted: Array) -> Array:
    """What values on the past studies' scale the best, the second, ... of these points are expected to have.

    The new study's own values are on a scale of their own, of which only the order is used.
    """
    return np.asarray(np.sort(predicted + _luck(*predicted.shape), axis=1).mean(axis=(0, 2)))


@lru_cache(maxsize=1)  # of what was tried, as past studies say and turned round
def _luck(points: int, studies: int) -> Array:
    drawn = math.sqrt(SPREAD) * np.random.default_rng(0).normal(size=(_DRAWS, points, studies))
    drawn.flags.writeable = False
    return drawn
