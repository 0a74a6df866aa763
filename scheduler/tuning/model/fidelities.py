"""Learning curves at fidelities, here called levels: the shares of a whole training after which trials are compared.

At each level a study's trials have an order. How the orders at two levels are correlated, and the parts of them that
configurations do not explain, is estimated from past studies: it says what an early result is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialRecord
from .rank_scores import is_scored, normal_scores

# Without any curve of the past, two levels are correlated by (lower / higher level) to this power. Not tuned
CORRELATION_EXPONENT = 0.12
_MIN_TRIALS = 5  # known at all levels, for a study to say how these are correlated. Not tuned


@dataclass(frozen=True, slots=True)
class LevelCorrelations:
    """How levels are correlated. Each array has the shape (levels, levels)."""

    scores: Array  # correlations of the trials' scores
    residuals: Array  # and of what configurations do not explain of them


def assumed_correlations(levels: Sequence[float]) -> LevelCorrelations:
    """Before any curve was seen. ``levels``: shares of a whole training, above 0, rising to 1."""
    at = np.log(np.asarray(levels))
    correlations = np.exp(-CORRELATION_EXPONENT * np.abs(at[:, None] - at[None, :]))
    return LevelCorrelations(correlations, correlations)


def estimated_correlations(
    levels: Sequence[float], scores: Sequence[Array], residuals: Sequence[Array]
) -> LevelCorrelations:
    """Estimated from studies whose curves are known.

    Args:
        levels: shares of a whole training, rising to 1.
        scores: of each study, shape (trials, levels).
        residuals: what configurations do not explain of these, in the same shape.
    """
    known = [(s, r) for s, r in zip(scores, residuals, strict=True) if len(s) >= _MIN_TRIALS]
    if not known or len(levels) == 1:
        return assumed_correlations(levels)
    counts = sum(len(s) for s, _ in known)
    return LevelCorrelations(
        _correlations(sum((s.T @ s for s, _ in known), np.zeros(2 * (len(levels),))) / counts),
        _correlations(sum((r.T @ r for _, r in known), np.zeros(2 * (len(levels),))) / counts),
    )


def _correlations(products: Array) -> Array:
    sd = np.sqrt(np.maximum(np.diag(products), 1e-9))
    return np.asarray(products / np.outer(sd, sd))


def scores_at(
    study: StudyRecord,
    levels: Sequence[float],
    trials: Sequence[TrialRecord],
    scores: Callable[[int], Array] = normal_scores,
) -> Array:
    """Each trial's score among them at each level, shape (trials, levels); low is good.

    Args:
        trials: those that are over, in the order of ``ranked``. Where a study has no curves, all levels are its last.
        scores: of so many trials, best first.
    """
    each = scores(len(trials))
    found = np.repeat(each[:, None], len(levels), axis=1)
    if not has_curves(study):
        return found
    for index, level in enumerate(levels[:-1]):
        found[_order_at(study, level, trials), index] = each
    return found


def has_curves(study: StudyRecord) -> bool:
    """Whether any trial of the study reported more than once."""
    return any(len(trial.curve) > 1 for trial in study.trials)


def places_of_whole_curves(trials: Sequence[TrialRecord]) -> list[int]:
    """Indices of the trials whose whole curve is known."""
    return [place for place, trial in enumerate(trials) if is_scored(trial) and len(trial.curve) > 1]


def value_at(curve: Sequence[tuple[int, float]], epoch: float) -> float | None:
    """The value first recorded at or after an epoch; None if the trial has not come so far."""
    return next((value for at, value in curve if at >= epoch), None)


def _order_at(study: StudyRecord, level: float, trials: Sequence[TrialRecord]) -> list[int]:
    """Places, best first: those that came so far by what they were then, and the others in the order they have."""
    whole = max((trial.curve[-1][0] for trial in trials if trial.curve), default=0)
    sign = -1.0 if study.goal == "maximize" else 1.0
    seen = [value_at(trial.curve, level * whole) for trial in trials]
    came = sorted((sign * value, place) for place, value in enumerate(seen) if value is not None)
    return [place for _, place in came] + [place for place, value in enumerate(seen) if value is None]
