"""What any configuration would have done in a past study: a kernel smoother over the parameters that it shares.

Goodness, not the metric's value: a trial's place among the study's, so that scales and directions do not matter. Pure
numpy: a plan uses it without Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialRecord, TrialState
from ..study.search_space import Space, shared_names
from .encoding import encode
from .rank_scores import ranked, thinned

MAX_TRIALS_A_STUDY = 300  # of one past study: bounds the work; the best are kept, the rest thinned evenly


@dataclass(frozen=True, slots=True, eq=False)
class ResponseSurface:
    """One past study as a new space sees it. Its trials are sorted, best first."""

    study: StudyRecord
    shared: Space  # the new space's parameters that it had too
    trials: tuple[TrialRecord, ...]
    tried: Array  # (trials, columns): their configurations, encoded
    goodness: Array  # (trials,), 1 for the best

    def of(self, params: Sequence[Mapping[str, Any]]) -> Array:
        """Goodness of configurations, shape (len(params),)."""
        return self.at(encode(self.shared, params))

    def at(self, points: Array) -> Array:
        """Goodness at points that are encoded as ``tried`` is. Far from all trials it falls back to their mean."""
        weights = kernel(points, self.tried)
        return np.asarray((weights @ self.goodness + self.goodness.mean()) / (weights.sum(axis=1) + 1.0))


def surface_of(study: StudyRecord, space: Space) -> ResponseSurface | None:
    """None where it shares no parameter with the space, or none of its trials completed."""
    shared = {name: space[name] for name in shared_names(space, study.space)}
    best_first = ranked(study.trials, study.goal)
    if not shared or not any(trial.state is TrialState.COMPLETED for trial in best_first):
        return None
    places = thinned(len(best_first), MAX_TRIALS_A_STUDY)
    kept = tuple(best_first[i] for i in places)
    tried = encode(shared, [trial.params for trial in kept])
    return ResponseSurface(study, shared, kept, tried, _goodness(len(best_first))[places])


def kernel(points: Array, tried: Array) -> Array:
    """Gaussian weights, shape (points, tried), with Scott's rule for points spread evenly over a cube."""
    squared = ((points[:, None, :] - tried[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-0.5 * squared / _bandwidth(*tried.shape) ** 2))


def _goodness(count: int) -> Array:
    """Goodness by rank, 1 for the best. Logarithmic: place 1 against 10 matters as much as 10 against 100."""
    if count == 1:
        return np.ones(1)
    return np.asarray(1.0 - np.log1p(np.arange(count)) / np.log(count), dtype=np.float64)


def _bandwidth(count: int, dims: int) -> float:
    """The standard deviation of an evenly spread side is 0.29."""
    return float(0.29 * max(count, 2) ** (-1.0 / (dims + 4)))
