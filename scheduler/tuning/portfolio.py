"""A few configurations of past studies that complement each other, to be tried first.

The best configuration of one past study may fail on the next task, but among ten that are together good on every past
study, one usually is good on the new one too. They are chosen greedily: each adds the most to "how good is the best so
far, on each past study" (Wistuba et al., "Sequential Model-Free Hyperparameter Tuning", ICDM 2015; Feurer et al.,
"Practical Automated Machine Learning", 2018). Past studies tried different configurations, so what one would have done
in another study is predicted by a kernel smoother over the parameters that they share.

Pure numpy: a plan shows the choice without Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..study import StudyRecord, TrialRecord, TrialState
from .ranking import is_scored, ranked, thinned
from .space import Space, encode, fit_params, shared_names

Array = NDArray[np.float64]

PORTFOLIO_SIZE = 4
MAX_TRIALS_A_STUDY = 300  # of one past study: bounds the work; the best are kept, the rest thinned evenly
CANDIDATES_A_STUDY = 15
MIN_DISTANCE = 0.1  # in the unit cube, per square root of its columns: nearer ones teach nothing new


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """A configuration to try first. Parameters that its study did not have are missing."""

    params: dict[str, Any]
    from_study: str
    from_trial: int

    @property
    def note(self) -> str:
        return f"from {self.from_study} trial {self.from_trial}"


@dataclass(frozen=True, slots=True)
class _Past:
    """One past study as the new space sees it. Its trials are sorted, best first."""

    study: StudyRecord
    shared: Space  # the new space's parameters that it had too
    trials: tuple[TrialRecord, ...]
    goodness: Array  # (trials,), 1 for the best


def choose(past: Sequence[StudyRecord], space: Space, size: int) -> tuple[PriorConfig, ...]:
    """Up to ``size`` configurations for ``space``, best first. Studies that share no parameter with it are left out."""
    known = [p for p in (_past(study, space) for study in past) if p is not None]
    candidates = [(p, trial) for p in known for trial in _candidates(p)]
    if not candidates or size < 1:
        return ()
    params = [{name: trial.params[name] for name in p.shared if name in trial.params} for p, trial in candidates]
    predicted = np.vstack([_predict(p, params) for p in known])
    picked = _greedy(predicted, encode(space, params), size)
    return tuple(
        PriorConfig(fit_params(space, params[index]), candidates[index][0].study.id, candidates[index][1].number)
        for index in picked
    )


def _past(study: StudyRecord, space: Space) -> _Past | None:
    shared = {name: space[name] for name in shared_names(space, study.space)}
    best_first = ranked(study.trials, study.goal)
    if not shared or not any(trial.state is TrialState.COMPLETED for trial in best_first):
        return None
    kept = thinned(len(best_first), MAX_TRIALS_A_STUDY)
    return _Past(study, shared, tuple(best_first[i] for i in kept), _goodness(len(best_first))[kept])


def _goodness(count: int) -> Array:
    """Goodness by rank, 1 for the best. Logarithmic: place 1 against 10 matters as much as 10 against 100."""
    if count == 1:
        return np.ones(1)
    return np.asarray(1.0 - np.log1p(np.arange(count)) / np.log(count), dtype=np.float64)


def _candidates(past: _Past) -> list[TrialRecord]:
    return [trial for trial in past.trials[:CANDIDATES_A_STUDY] if is_scored(trial)]


def _predict(past: _Past, params: Sequence[dict[str, Any]]) -> Array:
    """Goodness of configurations in a past study, shape (len(params),).

    A Gaussian kernel smoother that falls back to the study's mean far from its trials.
    """
    points = encode(past.shared, params)
    tried = encode(past.shared, [trial.params for trial in past.trials])
    squared = ((points[:, None, :] - tried[None, :, :]) ** 2).sum(axis=2)
    weights = np.exp(-0.5 * squared / _bandwidth(*tried.shape) ** 2)
    return np.asarray((weights @ past.goodness + past.goodness.mean()) / (weights.sum(axis=1) + 1.0))


def _bandwidth(count: int, dims: int) -> float:
    """Scott's rule for points spread evenly over a cube (standard deviation 0.29 a side)."""
    return float(0.29 * max(count, 2) ** (-1.0 / (dims + 4)))


def _greedy(predicted: Array, points: Array, size: int) -> list[int]:
    """Indices of the candidates that add most to the sum over studies of the best predicted goodness so far.

    Once nothing is to be gained, or with one study from the second on, the best on average among those that keep a
    distance from the chosen ones. ``predicted`` is (studies, candidates).
    """
    apart = MIN_DISTANCE * np.sqrt(max(1, points.shape[1]))
    best = np.zeros(predicted.shape[0])
    free = np.ones(predicted.shape[1], dtype=bool)
    picked: list[int] = []
    while len(picked) < size and free.any():
        gain = np.maximum(predicted, best[:, None]).sum(axis=0) - best.sum()
        score = np.where(free, gain + 1e-3 * predicted.mean(axis=0), -np.inf)
        index = int(np.argmax(score))
        picked.append(index)
        best = np.maximum(best, predicted[:, index])
        free &= np.sqrt(((points - points[index]) ** 2).sum(axis=1)) > apart
    return picked


def portfolio_size(trials: int | None) -> int:
    """How many trials may go to past configurations: at most a third, so that misleading ones cannot eat the sweep."""
    return PORTFOLIO_SIZE if trials is None else min(PORTFOLIO_SIZE, math.ceil(trials / 3))
