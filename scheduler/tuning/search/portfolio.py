"""A few configurations of past studies that complement each other, to be tried first.

The best configuration of one past study may fail on the next task, but among a few that are together good on every past
study, one usually is good on the new one too. They are chosen greedily: each adds the most to "how good is the best so
far, on each past study" (Wistuba et al., "Sequential Model-Free Hyperparameter Tuning", ICDM 2015; Feurer et al.,
"Practical Automated Machine Learning", 2018). Past studies tried different configurations, so what one would have done
in another study is predicted by a Gaussian process over the parameters that they share.

A plan shows the choice at once, hence a kernel that is not learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ...core.configurations import Space
from ...core.study import StudyRecord, TrialRecord
from ..model.encoding import UnitCube, encode
from ..model.kernels import Kernel
from ..model.past_studies import PastStudies, is_informative
from ..model.rank_scores import is_scored, ranked
from ..model.trial_cost import TrialCostModel
from ..study.search_space import fit_params, shared_names

PORTFOLIO_SIZE = 4  # configurations that are tried first: ten are more than needed (docs/tuning.md)
INITIAL_RANDOM_TRIALS = 6  # of a study that nothing is known of, before its own trials predict anything. Not tuned
MAX_CANDIDATES = 600  # of all past studies. Not tuned
MAX_CANDIDATES_A_STUDY = 15  # its best ones. Not tuned
MIN_DISTANCE = 0.1  # in widths per square root of the columns: configurations closer than that teach nothing new
# Of the fixed kernel, which chooses better than a kernel smoother did (docs/tuning.md); its numbers are not tuned.
_LENGTH_SCALE = 0.4  # in widths per square root of the columns, as distances in a cube grow
_NOISE_VARIANCE = 0.1  # in squared scores
_MEAN_GOODNESS_WEIGHT = 1e-3  # of the mean over studies beside the gain: it decides where nothing is to be gained


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """A configuration to try first. Parameters that its study did not have are missing."""

    params: dict[str, Any]
    from_study: str
    from_trial: int

    @property
    def note(self) -> str:
        return f"from {self.from_study} trial {self.from_trial}"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The best trials of past studies, and what each would have done in every one of them."""

    studies: tuple[StudyRecord, ...]  # those that share a parameter with the space and have a completed trial
    params: tuple[dict[str, Any], ...]
    trials: tuple[TrialRecord, ...]
    owner: NDArray[np.intp]  # (candidates,): whose trial it is, as an index into ``studies``
    predicted: Array  # (studies, candidates): how good each would be, high is good
    points: Array  # (candidates, columns)
    costs: Array  # (candidates,), 1 being an average configuration's; or 1 throughout

    def without(self, index: int) -> tuple[Array, Array, Array]:
        """Predictions, points and costs as they are had without one study: neither its judgement nor its trials."""
        theirs = self.owner != index
        return np.delete(self.predicted, index, axis=0)[:, theirs], self.points[theirs], self.costs[theirs]


def choose(past: Sequence[StudyRecord], space: Space, size: int, *, by_cost: bool = False) -> tuple[PriorConfig, ...]:
    """Up to ``size`` configurations for ``space``, best first. Studies that share no parameter with it are left out.

    ``by_cost``: what counts is how much each adds for what it costs, as far as past trials tell.
    """
    return chosen_of(candidates(past, space, by_cost=by_cost), space, size)


def chosen_of(found: Candidates, space: Space, size: int) -> tuple[PriorConfig, ...]:
    """The same, of candidates that are at hand."""
    if not found.params or size < 1:
        return ()
    return tuple(
        PriorConfig(
            fit_params(space, found.params[index]),
            found.studies[found.owner[index]].id,
            found.trials[index].number,
        )
        for index in pick(found.predicted, found.points, found.costs, size)
    )


def candidates(past: Sequence[StudyRecord], space: Space, *, by_cost: bool = False) -> Candidates:
    """What a portfolio is chosen from; nothing where no study shares a parameter with the space."""
    known = tuple(study for study in past if is_informative(study, space))
    most = max(1, min(MAX_CANDIDATES_A_STUDY, MAX_CANDIDATES // max(1, len(known))))
    found = [(index, trial) for index, study in enumerate(known) for trial in _best(study, most)]
    params = tuple(_shared_params(space, known[index], trial) for index, trial in found)
    points = encode(space, params)
    owner = np.array([index for index, _ in found], dtype=np.intp)
    predicted = _predicted(known, space, points)
    costs = _costs(known, space, points) if by_cost else np.ones(len(points))
    return Candidates(known, params, tuple(trial for _, trial in found), owner, predicted, points, costs)


def _predicted(known: Sequence[StudyRecord], space: Space, points: Array) -> Array:
    """How good each candidate would be in each study, shape (studies, candidates)."""
    if len(known) < 2:  # one study's own order needs no model
        return -np.tile(np.arange(len(points), dtype=float), (len(known), 1))
    return goodness_of(known, space, points)


def goodness_of(known: Sequence[StudyRecord], space: Space, points: Array) -> Array:
    """How good each point would be in each study, shape (studies, points): 0 is its median, high is good.

    Args:
        known: informative ones of the space.
        points: encoded in the space, shape (points, columns).
    """
    kernel = Kernel(np.full(points.shape[1], 1.0 / (_LENGTH_SCALE * math.sqrt(points.shape[1]))), 1.0, _NOISE_VARIANCE)
    return -PastStudies(known, UnitCube(space), kernel=kernel, min_trials=1).predict(points).T


def _costs(known: Sequence[StudyRecord], space: Space, points: Array) -> Array:
    return TrialCostModel(known, UnitCube(space)).predict(points, points[:0], np.zeros(0))


def _best(study: StudyRecord, most: int) -> list[TrialRecord]:
    return [trial for trial in ranked(study.trials, study.goal)[:most] if is_scored(trial)]


def _shared_params(space: Space, study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    return {name: trial.params[name] for name in shared_names(space, study.space) if name in trial.params}


def pick(goodness: Array, points: Array, costs: Array, size: int) -> list[int]:
    """Indices of the candidates that add most, for their cost, to the sum over studies of the best goodness so far.

    Once nothing is to be gained, or with one study from the second on, the best on average among those that keep a
    distance from the chosen ones. ``goodness`` is (studies, candidates).
    """
    apart = MIN_DISTANCE * np.sqrt(max(1, points.shape[1]))
    best = np.full(goodness.shape[0], goodness.min())
    free = np.ones(goodness.shape[1], dtype=bool)
    picked: list[int] = []
    while len(picked) < size and free.any():
        gain = np.maximum(goodness, best[:, None]).sum(axis=0) - best.sum()
        score = np.where(free, gain / costs + _MEAN_GOODNESS_WEIGHT * goodness.mean(axis=0), -np.inf)
        index = int(np.argmax(score))
        picked.append(index)
        best = np.maximum(best, goodness[:, index])
        free &= np.sqrt(((points - points[index]) ** 2).sum(axis=1)) > apart
    return picked


def portfolio_size(trials: int | None) -> int:
    """How many trials may go to past configurations: at most a third, so that misleading ones cannot eat the sweep."""
    return PORTFOLIO_SIZE if trials is None else min(PORTFOLIO_SIZE, math.ceil(trials / 3))
