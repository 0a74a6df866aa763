"""A few configurations of past studies that complement each other, to be tried first.

The best configuration of one past study may fail on the next task, but among a few that are together good on every past
study, one usually is good on the new one too. They are chosen greedily: each adds the most to "how good is the best so
far, on each past study" (Wistuba et al., "Sequential Model-Free Hyperparameter Tuning", ICDM 2015; Feurer et al.,
"Practical Automated Machine Learning", 2018). Past studies tried different configurations, so what one would have done
in another study is predicted by a Gaussian process over the parameters that they share.

Pure numpy: a plan shows the choice without Optuna and SciPy, hence a kernel that is not learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..study import StudyRecord, TrialRecord
from .cube import Array, Cube
from .kernels import Kernel
from .past import PastStudies, is_known
from .ranking import is_scored, ranked
from .space import Space, fit_params, shared_names

PORTFOLIO_SIZE = 4
CANDIDATES = 600  # at most, and of one study not more than
CANDIDATES_A_STUDY = 15
MIN_DISTANCE = 0.1  # in the unit cube, per square root of its columns: nearer ones teach nothing new
_LENGTH, _NOISE = 0.4, 0.1  # of the kernel; the length per square root of the columns, as distances in a cube grow


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """A configuration to try first. Parameters that its study did not have are missing."""

    params: dict[str, Any]
    from_study: str
    from_trial: int

    @property
    def note(self) -> str:
        return f"from {self.from_study} trial {self.from_trial}"


def choose(past: Sequence[StudyRecord], space: Space, size: int) -> tuple[PriorConfig, ...]:
    """Up to ``size`` configurations for ``space``, best first. Studies that share no parameter with it are left out."""
    known = [study for study in past if is_known(study, space, least_trials=1)]
    if not known or size < 1:
        return ()
    cube = Cube(space)
    most = max(1, min(CANDIDATES_A_STUDY, CANDIDATES // len(known)))
    candidates = [(study, trial) for study in known for trial in _best(study, most)]
    columns = cube.columns(cube.snapped(cube.rows([_shared(space, study, trial) for study, trial in candidates])))
    predicted = _predicted(known, cube, columns) if len(known) > 1 else np.arange(len(candidates), dtype=float)[:, None]
    picked = _greedy(-predicted.T, columns, size)
    return tuple(_prior(space, *candidates[index]) for index in picked)


def _predicted(known: Sequence[StudyRecord], cube: Cube, columns: Array) -> Array:
    """Scores of the candidates in each study, shape (candidates, studies). One study's own order needs no model."""
    kernel = Kernel(np.full(columns.shape[1], 1.0 / (_LENGTH * math.sqrt(columns.shape[1]))), 1.0, _NOISE)
    return PastStudies(known, cube, kernel=kernel, least_trials=1).predict(columns)


def _best(study: StudyRecord, most: int) -> list[TrialRecord]:
    return [trial for trial in ranked(study.trials, study.goal)[:most] if is_scored(trial)]


def _shared(space: Space, study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    return {name: trial.params[name] for name in shared_names(space, study.space) if name in trial.params}


def _prior(space: Space, study: StudyRecord, trial: TrialRecord) -> PriorConfig:
    return PriorConfig(fit_params(space, _shared(space, study, trial)), study.id, trial.number)


def _greedy(goodness: Array, points: Array, size: int) -> list[int]:
    """Indices of the candidates that add most to the sum over studies of the best predicted goodness so far.

    Once nothing is to be gained, or with one study from the second on, the best on average among those that keep a
    distance from the chosen ones. ``goodness`` is (studies, candidates).
    """
    apart = MIN_DISTANCE * np.sqrt(max(1, points.shape[1]))
    best = np.full(goodness.shape[0], goodness.min())
    free = np.ones(goodness.shape[1], dtype=bool)
    picked: list[int] = []
    while len(picked) < size and free.any():
        gain = np.maximum(goodness, best[:, None]).sum(axis=0) - best.sum()
        score = np.where(free, gain + 1e-3 * goodness.mean(axis=0), -np.inf)
        index = int(np.argmax(score))
        picked.append(index)
        best = np.maximum(best, goodness[:, index])
        free &= np.sqrt(((points - points[index]) ** 2).sum(axis=1)) > apart
    return picked


def portfolio_size(trials: int | None) -> int:
    """How many trials may go to past configurations: at most a third, so that misleading ones cannot eat the sweep."""
    return PORTFOLIO_SIZE if trials is None else min(PORTFOLIO_SIZE, math.ceil(trials / 3))
