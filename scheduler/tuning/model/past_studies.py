"""What past studies say of any configuration of a new space: a Gaussian process for each, over the ranks of its trials.

They share one kernel, learned from all of them, since what matters to one model on one data set mostly matters on the
next. What a past study predicts is on the scale of a standard normal: -2 is about its best, 0 its median. Where its
trials predict each other better so, their scores are bent first: a study that a tuner led has most of its trials where
it is good, and plain scores would set these as far apart as the trials of a random one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialState
from ..study.search_space import Space, shared_names
from .encoding import Cube
from .fidelities import Agreement, agreement, known_throughout, scores_at, unknown_agreement
from .kernels import JITTER, Kernel
from .rank_scores import bent_scores, in_wrong_order, ranked, thinned

MOST_POINTS = 2000  # of all past studies
LEAST_POINTS = 20  # of one
LEARNED_FROM = 6  # studies, of the kernel
LEARNED_POINTS = 60  # of each
LEAST_TRIALS = 3
FEW = 5  # studies: of more, what they leave unknown is little beside how they differ, and dear to compute


class PastStudies:
    """Past studies that share a parameter with the space and have a few trials; ``count`` of them may be 0."""

    def __init__(
        self,
        studies: Sequence[StudyRecord],
        cube: Cube,
        *,
        kernel: Kernel | None = None,
        least_trials: int = LEAST_TRIALS,
        levels: Sequence[float] = (1.0,),
    ) -> None:
        """Args:
        kernel: learned from the studies if it is None, which takes a while.
        levels: shares of a whole training at which results are to be predicted, rising to 1.
        """
        known = [study for study in studies if is_informative(study, cube.space, least_trials)]
        self.count, self._levels = len(known), levels
        self.agreement: Agreement = unknown_agreement(levels)
        if not known:
            return
        most = max(MOST_POINTS // len(known), LEAST_POINTS)
        kept = [_Kept.of(study, cube, most, levels) for study in known]
        self.rows: Array = np.vstack([study.rows for study in kept])  # of all past trials
        plain = [study.plain for study in kept]
        scores, self.kernel = plain, kernel or _learned(kept, plain)
        if len(levels) == 1 and _bends(self.kernel, kept):  # a training's price at several levels is in plain scores
            scores = [study.bent for study in kept]
            self.kernel = kernel or _learned(kept, scores)
        self._groups, members = _groups(self.kernel, kept, scores)
        self._order = np.argsort(members)
        if len(levels) > 1:
            left = [each for group in self._groups for each in group.left_out()]
            self.agreement = agreement(
                levels,
                [scores[i][kept[i].whole] for i in members],
                [r[kept[i].whole] for i, r in zip(members, left, strict=True)],
            )

    def predict(self, columns: Array) -> Array:
        """At the end of training, shape (points, studies), in the order of the studies that are known."""
        return self.predict_levels(columns)[:, -1]

    @property
    def are_few(self) -> bool:
        """Whether what they leave unknown matters."""
        return 0 < self.count <= FEW

    def likeness(self, a: Array, b: Array) -> Array:
        """Covariances before any trial is known, mean over studies, shape (len(a), len(b))."""
        return np.asarray(sum(group.likeness(a, b) for group in self._groups) / self.count)

    def learned(self, columns: Array) -> Array:
        """What trials tell of each point, shape (points, trials); no columns where studies are not few.

        ``likeness(a, b) - learned(a) @ learned(b).T`` is what the studies leave unknown, mean over them.
        """
        if not self.are_few:
            return np.zeros((len(columns), 0))
        return np.hstack([group.learned(columns) for group in self._groups]) / math.sqrt(self.count)

    def predict_levels(self, columns: Array) -> Array:
        """Shape (points, levels, studies)."""
        if not self.count:
            return np.zeros((len(columns), len(self._levels), 0))
        return np.concatenate([group.predict(columns) for group in self._groups], axis=2)[:, :, self._order]


class _Group:
    """Past studies that share the same parameters with the space: one product predicts for all of them."""

    def __init__(self, kernel: Kernel, share: Array, points: Sequence[Array], scores: Sequence[Array]) -> None:
        self._kernel = Kernel(kernel.per_length * share, kernel.amplitude, kernel.noise)
        self._each, self._points, self._scores = points, np.vstack(points), scores
        self._shape = (scores[0].shape[1], len(points))
        self._weights = np.zeros((len(self._points), *self._shape))
        start = 0
        for study, (at, score) in enumerate(zip(points, scores, strict=True)):
            self._weights[start : start + len(at), :, study] = np.linalg.solve(self._covariance(at), score)
            start += len(at)

    def predict(self, columns: Array) -> Array:
        """Shape (points, levels, studies)."""
        flat = self._weights.reshape(len(self._points), -1)
        return (self._kernel.between(columns, self._points) @ flat).reshape(-1, *self._shape)

    def likeness(self, a: Array, b: Array) -> Array:
        """Covariances before any trial is known, summed over the studies."""
        return np.asarray(len(self._each) * self._kernel.between(a, b))

    def learned(self, columns: Array) -> Array:
        """Shape (points, trials of all studies)."""
        parts = [
            np.linalg.solve(np.linalg.cholesky(self._covariance(at)), self._kernel.between(at, columns))
            for at in self._each
        ]
        return np.vstack(parts).T

    def left_out(self) -> list[Array]:
        """For each study, by how much each trial differs from what the others predict, shape (trials, levels).

        Rasmussen and Williams 2006, equation 5.12.
        """
        inverses = [np.linalg.inv(self._covariance(at)) for at in self._each]
        return [inv @ score / np.diag(inv)[:, None] for inv, score in zip(inverses, self._scores, strict=True)]

    def _covariance(self, at: Array) -> Array:
        return self._kernel.between(at, at) + (self._kernel.noise + JITTER) * np.eye(len(at))


class _Kept(NamedTuple):
    """What is kept of a past study: some of its trials, best first."""

    rows: Array
    points: Array  # their columns
    share: Array  # (columns,): 1 where the study had the parameter too
    plain: Array  # (trials, levels): scores
    bent: Array  # the same, bent
    whole: list[int]  # places of those known at all levels

    @classmethod
    def of(cls, study: StudyRecord, cube: Cube, most: int, levels: Sequence[float]) -> _Kept:
        trials, shared = ranked(study.trials, study.goal), shared_names(cube.space, study.space)
        some = thinned(len(trials), most)
        configs = [{name: value for name, value in trials[i].params.items() if name in shared} for i in some]
        rows = cube.rows(configs)
        return cls(
            rows,
            cube.columns(rows),
            np.isin(cube.parameter, [cube.names.index(name) for name in shared]).astype(float),
            scores_at(study, levels, trials)[some],
            scores_at(study, levels, trials, bent_scores)[some],
            known_throughout([trials[i] for i in some]),
        )


def _groups(kernel: Kernel, kept: Sequence[_Kept], scores: Sequence[Array]) -> tuple[list[_Group], list[int]]:
    """And the places of the studies, group by group."""
    among: dict[bytes, list[int]] = {}
    for index, study in enumerate(kept):
        among.setdefault(study.share.tobytes(), []).append(index)
    groups = [
        _Group(kernel, kept[places[0]].share, [kept[i].points for i in places], [scores[i] for i in places])
        for places in among.values()
    ]
    return groups, [i for places in among.values() for i in places]


def _bends(kernel: Kernel, kept: Sequence[_Kept]) -> bool:
    """Whether trials of past studies predict each other better by bent scores, and by more than luck would have it.

    All studies are seen alike, since a portfolio weighs them against each other.
    """
    both = [np.stack([study.plain[:, -1], study.bent[:, -1]], axis=1) for study in kept]
    groups, members = _groups(kernel, kept, both)
    better, worse = 0, 0  # pairs that only bent scores put in the right order, and that only plain ones do
    for index, left in zip(members, [each for group in groups for each in group.left_out()], strict=True):
        plain, bent = (in_wrong_order(predicted) for predicted in (both[index] - left).T)
        better, worse = better + int((plain & ~bent).sum()), worse + int((bent & ~plain).sum())
    return better - worse > math.sqrt(better + worse)  # McNemar, Psychometrika 12, 1947


def is_informative(study: StudyRecord, space: Space, least_trials: int = 1) -> bool:
    """Whether something can be learned of it: a completed trial, a few that are over, a parameter of the space."""
    over = ranked(study.trials, study.goal)
    done = any(trial.state is TrialState.COMPLETED for trial in over)
    return done and len(over) >= least_trials and bool(shared_names(space, study.space))


def _learned(kept: Sequence[_Kept], scores: Sequence[Array]) -> Kernel:
    """The kernel, from the studies that share most with the space."""
    from .gaussian_process import most_likely_kernel  # and with it much of SciPy, which takes a while to load

    by_use = sorted(range(len(kept)), key=lambda i: (-kept[i].share.sum(), -len(scores[i]), i))[:LEARNED_FROM]
    some = {i: thinned(len(scores[i]), LEARNED_POINTS) for i in by_use}
    return most_likely_kernel(
        [(kept[i].points * kept[i].share)[some[i]] for i in by_use], [_centred(scores[i][some[i], -1]) for i in by_use]
    )


def _centred(scores: Array) -> Array:
    return np.asarray(scores - scores.mean())
