"""What past studies say of any configuration of a new space: a Gaussian process for each, over the ranks of its trials.

They share one kernel, fitted to all of them, since what matters to one model on one data set mostly matters on the
next. What a past study predicts is on the scale of a standard normal: -2 is about its best, 0 its median. Where its
trials predict each other better so, their scores are warped first: a study that a tuner led has most of its trials
where it is good, and plain scores would set these as far apart as the trials of a random one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.configurations import Space
from ...core.study import StudyRecord, TrialState
from ..study.search_space import shared_names
from .encoding import UnitCube
from .fidelities import (
    LevelCorrelations,
    assumed_correlations,
    estimated_correlations,
    places_of_whole_curves,
    scores_at,
)
from .kernels import JITTER, Kernel
from .rank_scores import misordered_pairs, ranked, thinned, warped_scores

# Bounds on the work; none of them is tuned.
MAX_TRIALS = 2000  # of all past studies together
MIN_TRIALS_KEPT = 20  # of each, however many studies there are
MAX_KERNEL_STUDIES = 6  # that the kernel is fitted to
MAX_KERNEL_TRIALS = 60  # of each of these
MIN_TRIALS = 3  # that are over: a study of fewer says too little
# Studies: of up to so many, what they leave unknown counts (docs/tuning.md). Of more it is little beside how they
# differ, and takes long to compute.
FEW_STUDIES = 5


class PastStudies:
    """Predictions of the past studies that share a parameter with the space; ``count`` of them may be 0."""

    def __init__(
        self,
        studies: Sequence[StudyRecord],
        cube: UnitCube,
        *,
        kernel: Kernel | None = None,
        min_trials: int = MIN_TRIALS,
        levels: Sequence[float] = (1.0,),
    ) -> None:
        """Args:
        studies: those that are not informative are left out.
        cube: of the new space.
        kernel: fitted to the studies if it is None, which takes a while.
        min_trials: that are over, for a study to be informative.
        levels: fidelities at which results are predicted: shares of a whole training, rising to 1.
        """
        known = [study for study in studies if is_informative(study, cube.space, min_trials)]
        self.count, self._levels = len(known), levels
        self.level_correlations: LevelCorrelations = assumed_correlations(levels)
        if not known:
            return
        most = max(MAX_TRIALS // len(known), MIN_TRIALS_KEPT)
        kept = [_StudyArrays.of(study, cube, most, levels) for study in known]
        self.rows: Array = np.vstack([study.rows for study in kept])  # (trials, parameters): of all past trials
        plain = [study.plain for study in kept]
        scores, self.kernel = plain, kernel or _fitted_kernel(kept, plain)
        # Only at one level: what a training costs, which decides at several, is in plain scores (docs/tuning.md).
        if len(levels) == 1 and _warping_predicts_better(self.kernel, kept):
            scores = [study.warped for study in kept]
            self.kernel = kernel or _fitted_kernel(kept, scores)
        self._groups, members = _groups(self.kernel, kept, scores)
        self._order = np.argsort(members)
        if len(levels) > 1:
            residuals = [each for group in self._groups for each in group.leave_one_out_residuals()]
            self.level_correlations = estimated_correlations(
                levels,
                [scores[i][kept[i].whole_curves] for i in members],
                [each[kept[i].whole_curves] for i, each in zip(members, residuals, strict=True)],
            )

    def predict(self, columns: Array) -> Array:
        """Scores at the end of training, shape (points, studies), in the order of the studies; low is good.

        Args:
            columns: encoded configurations, shape (points, columns).
        """
        return self.predict_levels(columns)[:, -1]

    @property
    def are_few(self) -> bool:
        """Whether what they leave unknown matters."""
        return 0 < self.count <= FEW_STUDIES

    def prior_covariance(self, a: Array, b: Array) -> Array:
        """Covariances of scores before any trial is known, mean over studies, shape (len(a), len(b))."""
        return np.asarray(sum(group.prior_covariance(a, b) for group in self._groups) / self.count)

    def explained_factor(self, columns: Array) -> Array:
        """A factor of the covariance that past trials explain, shape (points, trials); (points, 0) for many studies.

        ``prior_covariance(a, b) - explained_factor(a) @ explained_factor(b).T`` is the posterior covariance, mean over
        studies: what they leave unknown.
        """
        if not self.are_few:
            return np.zeros((len(columns), 0))
        return np.hstack([group.explained_factor(columns) for group in self._groups]) / math.sqrt(self.count)

    def predict_levels(self, columns: Array) -> Array:
        """Scores at each level, shape (points, levels, studies)."""
        if not self.count:
            return np.zeros((len(columns), len(self._levels), 0))
        return np.concatenate([group.predict(columns) for group in self._groups], axis=2)[:, :, self._order]


class _StudyGroup:
    """Past studies that share the same parameters with the space: one matrix product predicts for all of them."""

    def __init__(self, kernel: Kernel, has_parameter: Array, points: Sequence[Array], scores: Sequence[Array]) -> None:
        self._kernel = Kernel(kernel.inverse_lengths * has_parameter, kernel.amplitude, kernel.noise)
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

    def prior_covariance(self, a: Array, b: Array) -> Array:
        """Summed over the studies."""
        return np.asarray(len(self._each) * self._kernel.between(a, b))

    def explained_factor(self, columns: Array) -> Array:
        """Shape (points, trials of all studies): whitened covariances of the points with the trials."""
        parts = [
            np.linalg.solve(np.linalg.cholesky(self._covariance(at)), self._kernel.between(at, columns))
            for at in self._each
        ]
        return np.vstack(parts).T

    def leave_one_out_residuals(self) -> list[Array]:
        """For each study, by how much each trial differs from what the others predict, shape (trials, levels).

        Rasmussen and Williams 2006, equation 5.12.
        """
        inverses = [np.linalg.inv(self._covariance(at)) for at in self._each]
        return [inv @ score / np.diag(inv)[:, None] for inv, score in zip(inverses, self._scores, strict=True)]

    def _covariance(self, at: Array) -> Array:
        return self._kernel.between(at, at) + (self._kernel.noise + JITTER) * np.eye(len(at))


class _StudyArrays(NamedTuple):
    """A past study as arrays: some of its trials, best first."""

    rows: Array  # (trials, parameters)
    points: Array  # (trials, columns): encoded
    has_parameter: Array  # (columns,): 1 where the study had the parameter too
    plain: Array  # (trials, levels): normal scores
    warped: Array  # (trials, levels): the same, warped
    whole_curves: list[int]  # indices of the trials that are known at all levels

    @classmethod
    def of(cls, study: StudyRecord, cube: UnitCube, most: int, levels: Sequence[float]) -> _StudyArrays:
        trials, shared = ranked(study.trials, study.goal), shared_names(cube.space, study.space)
        some = thinned(len(trials), most)
        configs = [{name: value for name, value in trials[i].params.items() if name in shared} for i in some]
        rows = cube.rows(configs)
        return cls(
            rows,
            cube.columns(rows),
            np.isin(cube.parameter, [cube.names.index(name) for name in shared]).astype(float),
            scores_at(study, levels, trials)[some],
            scores_at(study, levels, trials, warped_scores)[some],
            places_of_whole_curves([trials[i] for i in some]),
        )


def _groups(
    kernel: Kernel, kept: Sequence[_StudyArrays], scores: Sequence[Array]
) -> tuple[list[_StudyGroup], list[int]]:
    """The groups, and the indices of the studies group by group."""
    among: dict[bytes, list[int]] = {}
    for index, study in enumerate(kept):
        among.setdefault(study.has_parameter.tobytes(), []).append(index)
    groups = [
        _StudyGroup(kernel, kept[of[0]].has_parameter, [kept[i].points for i in of], [scores[i] for i in of])
        for of in among.values()
    ]
    return groups, [i for of in among.values() for i in of]


def _warping_predicts_better(kernel: Kernel, kept: Sequence[_StudyArrays]) -> bool:
    """Whether trials of past studies predict each other better by warped scores, and by more than chance explains.

    All studies are seen alike, since a portfolio weighs them against each other. The test is McNemar's, by one standard
    deviation (McNemar, Psychometrika 12, 1947).
    """
    both = [np.stack([study.plain[:, -1], study.warped[:, -1]], axis=1) for study in kept]
    groups, members = _groups(kernel, kept, both)
    better, worse = 0, 0  # pairs that only warped scores put in the right order, and that only plain ones do
    residuals = [each for group in groups for each in group.leave_one_out_residuals()]
    for index, residual in zip(members, residuals, strict=True):
        plain, warped = (misordered_pairs(predicted) for predicted in (both[index] - residual).T)
        better, worse = better + int((plain & ~warped).sum()), worse + int((warped & ~plain).sum())
    return better - worse > math.sqrt(better + worse)


def is_informative(study: StudyRecord, space: Space, min_trials: int = 1) -> bool:
    """Whether something can be learned of it: a completed trial, enough that are over, a parameter of the space."""
    over = ranked(study.trials, study.goal)
    done = any(trial.state is TrialState.COMPLETED for trial in over)
    return done and len(over) >= min_trials and bool(shared_names(space, study.space))


def _fitted_kernel(kept: Sequence[_StudyArrays], scores: Sequence[Array]) -> Kernel:
    """The most likely kernel of the studies that share most with the space."""
    from .gaussian_process import most_likely_kernel  # and with it much of SciPy, which takes a while to load

    by_use = sorted(range(len(kept)), key=lambda i: (-kept[i].has_parameter.sum(), -len(scores[i]), i))
    used = by_use[:MAX_KERNEL_STUDIES]
    some = {i: thinned(len(scores[i]), MAX_KERNEL_TRIALS) for i in used}
    return most_likely_kernel(
        [(kept[i].points * kept[i].has_parameter)[some[i]] for i in used],
        [_centred(scores[i][some[i], -1]) for i in used],
    )


def _centred(scores: Array) -> Array:
    return np.asarray(scores - scores.mean())
