"""Learning curves at levels: the shares of a whole training after which trials are compared.

At each level a study's trials have an order. How alike the orders at two levels are, and how alike the parts of them
that configurations do not explain, is learned from past studies: it says what an early result is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialRecord
from .rank_scores import is_scored, normal_scores

FADES = 0.12  # without any curve of the past, two levels agree to (lower / higher) to this power
_LEAST = 5  # trials that have to be known at all levels, for a study to say how alike they are


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike levels are. Correlations, shape (levels, levels)."""

    orders: Array  # of trials' scores
    residuals: Array  # of what is left of them once configurations are known


def unknown_agreement(levels: Sequence[float]) -> Agreement:
    """Before any curve was seen."""
    at = np.log(np.asarray(levels))
    alike = np.exp(-FADES * np.abs(at[:, None] - at[None, :]))
    return Agreement(alike, alike)


def agreement(levels: Sequence[float], scores: Sequence[Array], residuals: Sequence[Array]) -> Agreement:
    """Learned from studies whose curves are known: for each its scores and residuals, shape (trials, levels)."""
    known = [(s, r) for s, r in zip(scores, residuals, strict=True) if len(s) >= _LEAST]
    if not known or len(levels) == 1:
        return unknown_agreement(levels)
    counts = sum(len(s) for s, _ in known)
    return Agreement(
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
        trials: over, in the order of ``ranked``. Where a study has no curves, all levels are its last.
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


def known_throughout(trials: Sequence[TrialRecord]) -> list[int]:
    """Places of those whose whole curve is known."""
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
