"""How good trials that are under way will end, and new ones, from learning curves of past studies and of this one.

The same Gaussian process as in ``transfer_gp``, over configurations and levels: the new study is one more of the past
ones, at each level of training. A trial's own part, which its configuration does not explain, lasts from level to
level as long as it did in past studies. Only the order of results at a level counts; the scores of those at higher
levels, which are a selection, are what their places are expected to mean after what was seen below.

Freezing and thawing trials on such a belief is Swersky et al., "Freeze-thaw Bayesian optimization", 2014.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spotwise.cost_models.arrays import Array

from .gaussian_process import log_evidence
from .kernels import JITTER, matern
from .past_studies import PastStudies
from .rank_scores import normal_scores
from .transfer_gp import HYPOTHESES, HYPOTHESES_USED, MEAN_VARIANCE, Hypothesis, expected_scores

_DRAWS = 200  # of a simulation of scores. Not tuned
_TYPICAL = Hypothesis(between_studies=0.5, own=0.2, noise=0.05, uses_past=True)
_TYPICAL_ALONE = Hypothesis(between_studies=0.0, own=1.0, noise=0.05, uses_past=False)


class FinalResults(NamedTuple):
    """Predicted final results, on the scale of normal scores; low is good. Each array has the shape (trials,)."""

    mean: Array
    sd: Array


class CurveModel:
    """A Gaussian process of a study's trials over configurations and levels."""

    def __init__(self, past: PastStudies, inverse_lengths: Array, columns: Array, results: Array) -> None:
        """Args:
        past: predicted at the same levels.
        inverse_lengths: of the kernel over columns, shape (columns,).
        columns: of the trials' configurations, encoded, shape (trials, columns).
        results: at each level, low is good; NaN where a trial has not come so far. Shape (trials, levels).
        """
        self._past, self._per_length, self._columns = past, inverse_lengths, columns
        self._levels = results.shape[1]
        predicted = past.predict_levels(columns)
        self._mean, self._deviation = _moments(predicted)
        self._correlations = matern(columns * inverse_lengths, columns * inverse_lengths)
        level, trial = np.nonzero(~np.isnan(results.T))  # level by level
        self._seen = len(trial)
        unseen = np.flatnonzero(np.isnan(results).all(axis=1))  # under way without a result: taken to come as expected
        self._trial, self._level = np.append(trial, unseen), np.append(level, np.zeros(len(unseen), dtype=int))
        self._scores = self._scored(results, predicted)
        possible = [a for a in HYPOTHESES if past.count or not a.uses_past]
        self._weighted = sorted(((self._log_evidence(each), each) for each in possible), reverse=True)

    @property
    def log_odds(self) -> float:
        """That the past counts, against that it says nothing, in nats."""
        logs = {
            counts: [log for log, each in self._weighted if each.uses_past is counts and log > -math.inf]
            for counts in (True, False)
        }
        if not logs[True] or not logs[False]:
            return math.inf if logs[True] else -math.inf
        return float(np.logaddexp.reduce(logs[True]) - np.logaddexp.reduce(logs[False]))

    def final(self, new: Array, *, with_past: bool) -> tuple[FinalResults, FinalResults]:
        """Of the trials, and of new ones.

        Args:
            new: encoded configurations, shape (new, columns).
            with_past: by hypotheses that use past studies, or by the others.
        """
        likeliest = [(log, each) for log, each in self._weighted if each.uses_past is with_past][:HYPOTHESES_USED]
        weights = np.exp(np.array([log for log, _ in likeliest]) - likeliest[0][0])
        mean, deviation = _moments(self._past.predict_levels(new)[:, -1:])
        correlations = matern(self._columns * self._per_length, new * self._per_length)
        last = self._levels - 1
        tried, untried = [], []
        for _, hypothesis in likeliest:
            own = self._trial[:, None] == np.arange(len(self._columns))[None, :]
            noise = hypothesis.noise * own * self._past.level_correlations.residuals[self._level, last][:, None]
            to_tried = self._between(hypothesis, self._deviation[:, last], self._correlations) + noise
            to_new = self._between(hypothesis, deviation[:, 0], correlations)
            tried.append(self._posterior(hypothesis, to_tried, self._mean[:, last], self._deviation[:, last]))
            untried.append(self._posterior(hypothesis, to_new, mean[:, 0], deviation[:, 0]))
        return _mixed(tried, weights), _mixed(untried, weights)

    def _posterior(self, hypothesis: Hypothesis, cross: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Mean and variance."""
        covariance, residual, base = self._covariance(hypothesis), self._residual(hypothesis), self._base(hypothesis)
        seen = self._seen
        if len(covariance) > seen:
            believed = covariance[seen:, :seen] @ np.linalg.solve(covariance[:seen, :seen], residual)
            residual = np.append(residual, believed)
        weights = np.linalg.solve(covariance, cross)
        variance = (
            hypothesis.between_studies * (deviation**2).sum(axis=1) + hypothesis.own + MEAN_VARIANCE + hypothesis.noise
        )
        prior = mean if hypothesis.uses_past else np.full(len(mean), base)
        return np.asarray(prior + weights.T @ residual), np.maximum(variance - (cross * weights).sum(axis=0), 1e-9)

    def _scored(self, results: Array, predicted: Array) -> Array:
        """Scores of what was seen, level by level."""
        typical = _TYPICAL if self._past.count else _TYPICAL_ALONE
        covariance = self._covariance(typical)
        prior = self._mean[self._trial, self._level]
        scores, rng = np.zeros(self._seen), np.random.default_rng(0)
        for level in range(self._levels):
            at = np.flatnonzero(self._level[: self._seen] == level)
            if not len(at):
                continue
            order = np.argsort(results[self._trial[at], level], kind="stable")
            below = np.arange(at[0])
            if len(below):
                gain = np.linalg.solve(covariance[np.ix_(below, below)], covariance[np.ix_(below, at)])
                mean = prior[at] + gain.T @ (scores[below] - prior[below])
                left = covariance[np.ix_(at, at)] - covariance[np.ix_(at, below)] @ gain
                half = np.linalg.cholesky(left + 10 * JITTER * np.eye(len(at)))
                expected = np.sort(mean + rng.normal(size=(_DRAWS, len(at))) @ half.T, axis=1).mean(axis=0)
            elif self._past.count:
                expected = expected_scores(predicted[self._trial[at], level])
            else:
                expected = normal_scores(len(at))
            scores[at[order]] = expected
        return scores

    def _between(self, hypothesis: Hypothesis, deviation: Array, correlations: Array) -> Array:
        """Covariances of what was seen with final results, but for a trial's own part."""
        task = hypothesis.between_studies * self._deviation[self._trial, self._level] @ deviation.T
        level = self._past.level_correlations.scores[self._level, self._levels - 1][:, None]
        return np.asarray(task + hypothesis.own * correlations[self._trial] * level + MEAN_VARIANCE)

    def _covariance(self, hypothesis: Hypothesis) -> Array:
        trial, level = self._trial, self._level
        deviation, levels = self._deviation[trial, level], np.ix_(level, level)
        own = self._correlations[np.ix_(trial, trial)] * self._past.level_correlations.scores[levels]
        noise = (trial[:, None] == trial[None, :]) * self._past.level_correlations.residuals[levels]
        total = (
            hypothesis.between_studies * deviation @ deviation.T
            + hypothesis.own * own
            + hypothesis.noise * noise
            + MEAN_VARIANCE
        )
        return np.asarray(total + JITTER * np.eye(len(trial)))

    def _base(self, hypothesis: Hypothesis) -> float:
        return 0.0 if hypothesis.uses_past or not self._seen else float(self._scores.mean())

    def _residual(self, hypothesis: Hypothesis) -> Array:
        if not hypothesis.uses_past:
            return self._scores - self._base(hypothesis)
        return np.asarray(self._scores - self._mean[self._trial, self._level][: self._seen])

    def _log_evidence(self, hypothesis: Hypothesis) -> float:
        seen = self._covariance(hypothesis)[: self._seen, : self._seen]
        return float(log_evidence(seen, self._residual(hypothesis)[:, None])[0]) + hypothesis.log_prior


def _moments(predicted: Array) -> tuple[Array, Array]:
    """Mean over past studies, and deviations whose products are covariances over studies; nothing without any."""
    studies = predicted.shape[2]
    if not studies:
        return np.zeros(predicted.shape[:2]), predicted
    mean = predicted.mean(axis=2)
    return mean, np.asarray((predicted - mean[:, :, None]) / math.sqrt(studies))


def _mixed(parts: list[tuple[Array, Array]], weights: Array) -> FinalResults:
    shares = weights / weights.sum()
    mean = sum((w * m for w, (m, _) in zip(shares, parts, strict=True)), np.zeros_like(parts[0][0]))
    square = sum((w * (v + m * m) for w, (m, v) in zip(shares, parts, strict=True)), np.zeros_like(mean))
    return FinalResults(mean, np.sqrt(np.maximum(square - mean * mean, 1e-9)))
