"""How good trials that are under way will end, and new ones, from learning curves of past studies and of this one.

The same Gaussian process as in ``transfer``, over configurations and levels: the new study is one more of the past
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
from .transfer_gp import ASSUMPTIONS, MEAN_VARIANCE, USED, Assumption, expected_scores

_DRAWS = 200
_TYPICAL = Assumption(task=0.5, own=0.2, noise=0.05, past_counts=True)
_TYPICAL_ALONE = Assumption(task=0.0, own=1.0, noise=0.05, past_counts=False)


class FinalResults(NamedTuple):
    """Of final results, on the scale of normal scores; low is good."""

    mean: Array
    sd: Array


class CurveModel:
    """What was seen of a study's trials."""

    def __init__(self, past: PastStudies, per_length: Array, columns: Array, results: Array) -> None:
        """Args:
        per_length: of the kernel over columns.
        columns: of the trials' configurations, shape (trials, columns).
        results: at each level, low is good; NaN where a trial has not come so far. Shape (trials, levels).
        """
        self._past, self._per_length, self._columns = past, per_length, columns
        self._levels = results.shape[1]
        predicted = past.predict_levels(columns)
        self._mean, self._deviation = _moments(predicted)
        self._alike = matern(columns * per_length, columns * per_length)
        level, trial = np.nonzero(~np.isnan(results.T))  # level by level
        self._seen = len(trial)
        unseen = np.flatnonzero(np.isnan(results).all(axis=1))  # under way without a result: taken to come as expected
        self._trial, self._level = np.append(trial, unseen), np.append(level, np.zeros(len(unseen), dtype=int))
        self._scores = self._scored(results, predicted)
        known = [a for a in ASSUMPTIONS if past.count or not a.past_counts]
        self._weighed = sorted(((self._log_evidence(each), each) for each in known), reverse=True)

    @property
    def log_odds(self) -> float:
        """That the past counts, against that it says nothing."""
        logs = {
            counts: [log for log, each in self._weighed if each.past_counts is counts and log > -math.inf]
            for counts in (True, False)
        }
        if not logs[True] or not logs[False]:
            return math.inf if logs[True] else -math.inf
        return float(np.logaddexp.reduce(logs[True]) - np.logaddexp.reduce(logs[False]))

    def final(self, new: Array, *, with_past: bool) -> tuple[FinalResults, FinalResults]:
        """Of the trials, and of new ones with these columns."""
        used = [(log, each) for log, each in self._weighed if each.past_counts is with_past][:USED]
        weights = np.exp(np.array([log for log, _ in used]) - used[0][0])
        mean, deviation = _moments(self._past.predict_levels(new)[:, -1:])
        alike = matern(self._columns * self._per_length, new * self._per_length)
        last = self._levels - 1
        tried, untried = [], []
        for _, assumed in used:
            own = self._trial[:, None] == np.arange(len(self._columns))[None, :]
            noise = assumed.noise * own * self._past.agreement.residuals[self._level, last][:, None]
            to_tried = self._between(assumed, self._deviation[:, last], self._alike) + noise
            to_new = self._between(assumed, deviation[:, 0], alike)
            tried.append(self._posterior(assumed, to_tried, self._mean[:, last], self._deviation[:, last]))
            untried.append(self._posterior(assumed, to_new, mean[:, 0], deviation[:, 0]))
        return _mixed(tried, weights), _mixed(untried, weights)

    def _posterior(self, assumed: Assumption, cross: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Mean and variance."""
        covariance, residual, base = self._covariance(assumed), self._residual(assumed), self._base(assumed)
        seen = self._seen
        if len(covariance) > seen:
            believed = covariance[seen:, :seen] @ np.linalg.solve(covariance[:seen, :seen], residual)
            residual = np.append(residual, believed)
        weights = np.linalg.solve(covariance, cross)
        variance = assumed.task * (deviation**2).sum(axis=1) + assumed.own + MEAN_VARIANCE + assumed.noise
        prior = mean if assumed.past_counts else np.full(len(mean), base)
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

    def _between(self, assumed: Assumption, deviation: Array, alike: Array) -> Array:
        """Covariances of what was seen with final results, but for a trial's own part."""
        task = assumed.task * self._deviation[self._trial, self._level] @ deviation.T
        level = self._past.agreement.orders[self._level, self._levels - 1][:, None]
        return np.asarray(task + assumed.own * alike[self._trial] * level + MEAN_VARIANCE)

    def _covariance(self, assumed: Assumption) -> Array:
        trial, level = self._trial, self._level
        deviation, levels = self._deviation[trial, level], np.ix_(level, level)
        own = self._alike[np.ix_(trial, trial)] * self._past.agreement.orders[levels]
        noise = (trial[:, None] == trial[None, :]) * self._past.agreement.residuals[levels]
        total = assumed.task * deviation @ deviation.T + assumed.own * own + assumed.noise * noise + MEAN_VARIANCE
        return np.asarray(total + JITTER * np.eye(len(trial)))

    def _base(self, assumed: Assumption) -> float:
        return 0.0 if assumed.past_counts or not self._seen else float(self._scores.mean())

    def _residual(self, assumed: Assumption) -> Array:
        if not assumed.past_counts:
            return self._scores - self._base(assumed)
        return np.asarray(self._scores - self._mean[self._trial, self._level][: self._seen])

    def _log_evidence(self, assumed: Assumption) -> float:
        seen = self._covariance(assumed)[: self._seen, : self._seen]
        return float(log_evidence(seen, self._residual(assumed)[:, None])[0]) + assumed.log_prior


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
