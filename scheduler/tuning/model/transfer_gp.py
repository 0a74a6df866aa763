"""How much better each configuration is expected to be, if the new study is one more of the past ones.

The new study is a Gaussian process whose mean and covariance over configurations are those of the past studies'
predictions (Wang et al., Pre-trained Gaussian processes for Bayesian optimization, JMLR 25, 2024), plus, where past
studies are few, what their trials leave unknown, plus a part of its own that none of them knew. How large that part is,
how noisy results are, and whether the past counts at all, are hypotheses: each is weighted by its posterior odds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from .gaussian_process import ConditionedGP, Posterior, expected_improvement, log_evidence
from .kernels import JITTER, matern
from .past_studies import PastStudies
from .rank_scores import misranked_share, thinned

# Variances are in squared normal scores: a study's results have variance 1.
MEAN_VARIANCE = 0.1  # of how much better or worse than past ones a study is as a whole. Not tuned
PREDICTION_VARIANCE = 0.15  # of results around what a past study predicts of them. Not tuned
OPPOSITE_PRIOR_ODDS = 0.1  # that past studies mean the opposite, as where a goal was entered wrongly (docs/tuning.md)
UNEXPLAINED_SHARE = 0.5  # of what up to FEW_STUDIES leave unknown that counts; half was measured (docs/tuning.md)
MAX_EVIDENCE_TRIALS = 60  # by which hypotheses are weighted: with more the answer is clear, and slow. Not tuned
HYPOTHESES_USED = 3  # the likeliest ones: others weigh little. Not tuned
_DRAWS = 10  # of a simulation, for each trial and past study. Not tuned
_BLOCK_ENTRIES = 15_000  # of a matrix that are computed together, to stay in the processor's cache. Not tuned


class PointFeatures(NamedTuple):
    """Configurations as the model sees them: encoded, and with what past studies say of each, where there are any."""

    columns: Array  # (points, columns): encoded
    predicted: Array  # (points, studies): scores, low is good
    deviations: Array  # (points, studies): from the mean over studies, so that products are covariances over studies
    explained_factor: Array  # (points, past trials): see ``PastStudies.explained_factor``

    @classmethod
    def of(cls, past: PastStudies, columns: Array) -> PointFeatures:
        """``columns``: encoded configurations, shape (points, columns)."""
        if not past.count:
            return cls(columns, *[np.zeros((len(columns), 0))] * 3)
        predicted = past.predict(columns)
        deviations = (predicted - predicted.mean(axis=1, keepdims=True)) / math.sqrt(past.count)
        return cls(columns, predicted, deviations, past.explained_factor(columns))

    def mean(self, *, opposite: bool) -> Array:
        """Predicted scores, mean over studies, as they say or the opposite, shape (points,)."""
        mean = np.asarray(self.predicted.mean(axis=1))
        return -mean if opposite else mean

    def at(self, places: slice | NDArray[np.intp]) -> PointFeatures:
        """Those of some of the points."""
        return PointFeatures(*(part[places] for part in self))

    @classmethod
    def together(cls, parts: Sequence[PointFeatures]) -> PointFeatures:
        """One after the other."""
        return cls(*(np.vstack(of) for of in zip(*parts, strict=True)))


class Hypothesis(NamedTuple):
    """How the new study may be related to past ones. Variances are in squared scores."""

    between_studies: float  # factor of the covariance that past studies' predictions have among each other
    own: float  # variance of the part that is like none of them
    noise: float  # variance of noise
    uses_past: bool

    @property
    def log_prior(self) -> float:
        """Log prior density, but for a constant: log-normal around a part of its own of 0.2 and noise of 0.05.

        Not tuned.
        """
        return -0.5 * math.log(self.own / 0.2) ** 2 - 0.5 * (math.log(self.noise / 0.05) / 1.5) ** 2


HYPOTHESES = (
    *(Hypothesis(b, o, n, True) for b in (0.5, 1.5) for o in (0.05, 0.2, 0.8) for n in (0.02, 0.15)),
    *(Hypothesis(0.0, o, n, False) for o in (0.3, 1.0) for n in (0.02, 0.15)),
)


class TransferGP:
    """A study's trials, seen as one more study like the past ones, or as their opposite."""

    def __init__(self, past: PastStudies, tried: PointFeatures) -> None:
        """``past``: at least one study. ``tried``: the trials that are over, best first; at least one."""
        self._likelihoods = _Likelihoods(past, tried)
        logs = {hypothesis: self._likelihoods.log_posterior(hypothesis) for hypothesis in HYPOTHESES}
        without = np.logaddexp.reduce([log for hypothesis, log in logs.items() if not hypothesis.uses_past], axis=0)
        log_odds = {hypothesis: log - without for hypothesis, log in logs.items() if hypothesis.uses_past}
        self._weighted = sorted(
            (
                _WeightedHypothesis(
                    float(odds[opposite]) + opposite * math.log(OPPOSITE_PRIOR_ODDS), hypothesis, bool(opposite)
                )
                for hypothesis, odds in log_odds.items()
                for opposite in (0, 1)
            ),
            reverse=True,
        )

    @property
    def log_odds(self) -> float:
        """That the past counts, against that it says nothing, in nats."""
        return float(np.logaddexp.reduce([each.log_odds for each in self._weighted]))

    @property
    def scores(self) -> Array:
        """What scores the trials are expected to have by their ranks, best first, shape (trials,)."""
        return self._likelihoods.scores[int(self._weighted[0].opposite)]

    def misranked_share(self) -> float:
        """How wrong the likeliest hypothesis is where each trial is predicted from the others: see ``rank_scores``."""
        _, hypothesis, opposite = self._weighted[0]
        return self._likelihoods.misranked_share(hypothesis, opposite=opposite)

    def expected_improvement(self, pending: PointFeatures, new: PointFeatures) -> Array:
        """Of each new point over the best trial, shape (new,), in scores.

        Args:
            pending: configurations that still run; each is taken to come out at its predicted mean.
            new: points to judge.
        """
        return self._likelihoods.expected_improvement(self._weighted[:HYPOTHESES_USED], pending, new)


class _WeightedHypothesis(NamedTuple):
    log_odds: float  # against that the past says nothing
    hypothesis: Hypothesis
    opposite: bool  # what past studies call good is bad here


class _Covariances:
    """Between two sets of points, for any hypothesis."""

    def __init__(self, a: PointFeatures, b: PointFeatures, past: PastStudies) -> None:
        self._between_studies = a.deviations @ b.deviations.T
        inverse_lengths = past.kernel.inverse_lengths
        self._own = matern(a.columns * inverse_lengths, b.columns * inverse_lengths)
        self._unexplained: Array | float = 0.0
        if past.are_few:
            explained = a.explained_factor @ b.explained_factor.T
            self._unexplained = UNEXPLAINED_SHARE * (past.prior_covariance(a.columns, b.columns) - explained)

    def without_noise(self, hypothesis: Hypothesis) -> Array:
        """Shape (len(a), len(b))."""
        common = hypothesis.own * self._own + MEAN_VARIANCE
        if not hypothesis.uses_past:
            return np.asarray(common)
        return np.asarray(hypothesis.between_studies * self._between_studies + self._unexplained + common)

    def with_noise(self, hypothesis: Hypothesis) -> Array:
        """Of results, shape (len(a), len(a)), where both sets are the same."""
        return self.without_noise(hypothesis) + (hypothesis.noise + JITTER) * np.eye(len(self._own))


class _Likelihoods:
    """A study's trials under any hypothesis, as past studies say or the opposite."""

    def __init__(self, past: PastStudies, tried: PointFeatures) -> None:
        self._past, self._tried = past, tried
        self.scores = [expected_scores(sign * tried.predicted) for sign in (1.0, -1.0)]
        # Columns: as past studies say, and the opposite; if the past counts, and if it does not.
        self._residuals = np.stack(
            [scores - tried.mean(opposite=bool(i)) for i, scores in enumerate(self.scores)], axis=1
        )
        self._residuals_without = np.stack([scores - scores.mean() for scores in self.scores], axis=1)
        self._evidence = thinned(len(tried.columns), MAX_EVIDENCE_TRIALS)  # indices of trials
        some = tried.at(self._evidence)
        self._among_evidence = _Covariances(some, some, past)

    def log_posterior(self, hypothesis: Hypothesis) -> Array:
        """But for a constant, shape (2,): as past studies say, and the opposite."""
        residuals = self._residuals if hypothesis.uses_past else self._residuals_without
        covariance = self._among_evidence.with_noise(hypothesis)
        return log_evidence(covariance, residuals[self._evidence]) + hypothesis.log_prior

    def misranked_share(self, hypothesis: Hypothesis, *, opposite: bool) -> float:
        covariance = _Covariances(self._tried, self._tried, self._past).with_noise(hypothesis)
        seen = ConditionedGP(covariance, self._residuals[:, int(opposite)])
        return misranked_share(self.scores[int(opposite)] - seen.leave_one_out_residuals)

    def expected_improvement(
        self, weighted: Sequence[_WeightedHypothesis], pending: PointFeatures, new: PointFeatures
    ) -> Array:
        """Mean over hypotheses that use the past, by their odds, shape (new,)."""
        started = PointFeatures.together([self._tried, pending])
        among_started = _Covariances(started, started, self._past)
        known = [self._known(among_started, hypothesis, opposite=opposite) for _, hypothesis, opposite in weighted]
        odds = np.exp(np.array([each.log_odds for each in weighted]) - weighted[0].log_odds)
        found, size = [], max(1, _BLOCK_ENTRIES // len(started.columns))
        for block in (new.at(slice(start, start + size)) for start in range(0, len(new.columns), size)):
            to_started = _Covariances(started, block, self._past)
            unexplained = self._unexplained_variance(block)
            between = (block.deviations**2).sum(axis=1)
            each = []
            for (seen, best), (_, hypothesis, opposite) in zip(known, weighted, strict=True):
                variance = hypothesis.between_studies * between + unexplained + (hypothesis.own + MEAN_VARIANCE)
                mean, sd = seen.posterior(to_started.without_noise(hypothesis), variance)
                each.append(expected_improvement(Posterior(mean + block.mean(opposite=opposite), sd), best))
            found.append(odds @ each / odds.sum())
        return np.concatenate(found)

    def _unexplained_variance(self, block: PointFeatures) -> Array | float:
        if not self._past.are_few:
            return 0.0
        return np.asarray(UNEXPLAINED_SHARE * (self._past.kernel.amplitude - (block.explained_factor**2).sum(axis=1)))

    def _known(
        self, among_started: _Covariances, hypothesis: Hypothesis, *, opposite: bool
    ) -> tuple[ConditionedGP, float]:
        """What is known once pending trials came out at their means; and the best trial's score without its noise."""
        covariance, residual = among_started.with_noise(hypothesis), self._residuals[:, int(opposite)]
        count = len(residual)
        seen = ConditionedGP(covariance[:count, :count], residual)
        best = float((self.scores[int(opposite)] - (hypothesis.noise + JITTER) * seen.weights).min())
        if count < len(covariance):
            believed = covariance[count:, :count] @ seen.weights
            seen = ConditionedGP(covariance, np.concatenate([residual, believed]))
        return seen, best


def expected_scores(predicted: Array) -> Array:
    """The scores that the best, the second, ... of these points are expected to have on past studies' scale.

    The new study's own values are on a scale of their own, of which only the order is used. Mean of sorted samples
    around the predictions, over past studies: shape (points,), rising.

    Args:
        predicted: by each past study, shape (points, studies).
    """
    return np.asarray(np.sort(predicted + _prediction_noise(*predicted.shape), axis=1).mean(axis=(0, 2)))


@lru_cache(maxsize=1)  # the trials so far, as past studies say and the opposite
def _prediction_noise(points: int, studies: int) -> Array:
    """Shape (draws, points, studies)."""
    drawn = math.sqrt(PREDICTION_VARIANCE) * np.random.default_rng(0).normal(size=(_DRAWS, points, studies))
    drawn.flags.writeable = False
    return drawn
