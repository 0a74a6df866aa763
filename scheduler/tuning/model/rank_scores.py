"""Trials from best to worst. Ranks, because metrics of different studies have different scales and directions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ...core.study import TrialRecord, TrialState

WARP_STRENGTH = 0.5  # factor of a normal score in the exponent; half a score was measured (docs/tuning.md)
_BEST_SHARE = 3  # one in so many of the trials that are kept is among the best. Not tuned
_OVER = (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)


def ranked(trials: Iterable[TrialRecord], goal: str) -> list[TrialRecord]:
    """Trials that are over, best first: completed by value, then pruned by how far they came, then failed."""
    sign = 1.0 if goal == "maximize" else -1.0

    def key(trial: TrialRecord) -> tuple[int, float, float]:
        value = sign * trial.value if trial.value is not None and np.isfinite(trial.value) else -np.inf
        if is_scored(trial):
            return (0, -value, 0.0)
        if trial.state is TrialState.PRUNED:
            return (1, -float(trial.epoch), -value)
        return (2, 0.0, 0.0)

    return sorted((trial for trial in trials if trial.state in _OVER), key=key)


def is_scored(trial: TrialRecord) -> bool:
    """Whether the trial completed with a finite value."""
    return trial.state is TrialState.COMPLETED and trial.value is not None and bool(np.isfinite(trial.value))


def thinned(count: int, most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` of ``count`` ranked trials: a third the best, the others evenly among the rest."""
    if count <= most:
        return np.arange(count)
    best = most // _BEST_SHARE
    return np.unique(np.r_[:best, np.linspace(best, count - 1, most - best).astype(int)])


def misranked_share(predicted: Array) -> float:
    """The share of pairs, with one of the better half in each, that predictions put in the wrong order: 0 to 1.

    Args:
        predicted: values of at least two trials, best first, shape (trials,); low is good.
    """
    return float(misordered_pairs(predicted).mean())


def misordered_pairs(predicted: Array) -> NDArray[np.bool_]:
    """Whether predictions put each pair in the wrong order, shape (pairs,), of the pairs of ``misranked_share``."""
    count = len(predicted)
    wrong = predicted[:, None] > predicted
    pairs = np.triu(np.ones((count, count), dtype=bool), 1)[: (count + 1) // 2]
    return np.asarray(wrong[: len(pairs)][pairs])


def warped_scores(count: int) -> Array:
    """Normal scores, warped so that good ones lie closer together, shape (count,), rising; mean and spread stay.

    A search looks where it is good, so that most of its trials are nearly as good as the best, and a few are far worse.
    """
    scores = normal_scores(count)
    warped = np.expm1(WARP_STRENGTH * scores)
    return np.asarray((warped - warped.mean()) * (scores.std() / warped.std())) if count > 1 else scores


def normal_scores(count: int) -> Array:
    """Normal scores of ranks, shape (count,), rising: the standard normal's quantiles at (rank - 1/2) / count."""
    return np.array(_normal_scores(count))


@lru_cache(maxsize=256)
def _normal_scores(count: int) -> tuple[float, ...]:
    return tuple(NormalDist().inv_cdf((place + 0.5) / count) for place in range(count))
