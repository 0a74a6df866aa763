"""Trials from best to worst. Ranks, because metrics of different studies have different scales and directions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ...core.study import TrialRecord, TrialState

BEND = 0.5  # of a normal score, in the exponent: 0.4 to 0.6 do as well, none and 1 do worse (docs/tuning.md)
_OVER = (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)


def ranked(trials: Iterable[TrialRecord], goal: str) -> list[TrialRecord]:
    """Best first: completed trials by value, then pruned ones by how far they came, then failed ones."""
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
    """Places of at most so many of ranked trials: a third are the best, the others lie evenly among the rest."""
    if count <= most:
        return np.arange(count)
    best = most // 3
    return np.unique(np.r_[:best, np.linspace(best, count - 1, most - best).astype(int)])


def misranked(predicted: Array) -> float:
    """The share of pairs, with one of the better half in each, that predictions put in the wrong order.

    Args:
        predicted: of at least two trials, best first; low is good.
    """
    return float(in_wrong_order(predicted).mean())


def in_wrong_order(predicted: Array) -> NDArray[np.bool_]:
    """The same, of each of these pairs, shape (pairs,)."""
    count = len(predicted)
    wrong = predicted[:, None] > predicted
    pairs = np.triu(np.ones((count, count), dtype=bool), 1)[: (count + 1) // 2]
    return np.asarray(wrong[: len(pairs)][pairs])


def bent_scores(count: int) -> Array:
    """Normal scores, bent so that good ones lie closer together; mean 0, and spread as they were.

    A search looks where it is good, so that most of its trials are nearly as good as the best, and a few are far worse.
    """
    scores = normal_scores(count)
    bent = np.expm1(BEND * scores)
    return np.asarray((bent - bent.mean()) * (scores.std() / bent.std())) if count > 1 else scores


def normal_scores(count: int) -> Array:
    """What so many values of a standard normal are expected to be, in rising order, nearly."""
    return np.array(_normal_scores(count))


@lru_cache(maxsize=256)
def _normal_scores(count: int) -> tuple[float, ...]:
    return tuple(NormalDist().inv_cdf((place + 0.5) / count) for place in range(count))
