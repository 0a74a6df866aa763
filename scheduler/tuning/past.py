"""What past studies say of any configuration of a new space: a Gaussian process for each, over the ranks of its trials.

They share one kernel, learned from all of them, since what matters to one model on one data set mostly matters on the
next. What a past study predicts is on the scale of a standard normal: -2 is about its best, 0 its median.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..study import StudyRecord, TrialState
from .cube import Array, Cube
from .kernels import JITTER, Kernel
from .levels import Agreement, agreement, known_throughout, scores_at, unknown_agreement
from .ranking import ranked, thinned
from .space import Space, shared_names

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
        kernel: learned from the studies if it is None, which takes SciPy.
        levels: shares of a whole training at which results are to be predicted, rising to 1.
        """
        known = [study for study in studies if _is_known(study, cube.space, least_trials)]
        self.count, self._levels = len(known), levels
        self.agreement: Agreement = unknown_agreement(levels)
        if not known:
            return
        most = max(MOST_POINTS // len(known), LEAST_POINTS)
        rows, scores, whole = zip(*(_ranked_rows(study, cube, most, levels) for study in known), strict=True)
        shares = [np.isin(cube.parameter, _shared(study, cube)).astype(float) for study in known]
        points = [cube.columns(each) for each in rows]
        self.rows: Array = np.vstack(rows)  # of all past trials
        self.kernel = _kernel(points, scores, shares) if kernel is None else kernel
        groups: dict[bytes, list[int]] = {}
        for index, share in enumerate(shares):
            groups.setdefault(share.tobytes(), []).append(index)
        self._groups = [
            _Group(self.kernel, shares[among[0]], [points[i] for i in among], [scores[i] for i in among])
            for among in groups.values()
        ]
        members = [i for among in groups.values() for i in among]
        self._order = np.argsort(members)
        if len(levels) > 1:
            left = [each for group in self._groups for each in group.left_out()]
            self.agreement = agreement(
                levels,
                [scores[i][whole[i]] for i in members],
                [r[whole[i]] for i, r in zip(members, left, strict=True)],
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


def _is_known(study: StudyRecord, space: Space, least_trials: int) -> bool:
    """Whether something can be learned of it: a completed trial, a few that are over, a parameter of the space."""
    over = ranked(study.trials, study.goal)
    done = any(trial.state is TrialState.COMPLETED for trial in over)
    return done and len(over) >= least_trials and bool(shared_names(space, study.space))


def _shared(study: StudyRecord, cube: Cube) -> list[int]:
    return [cube.names.index(name) for name in shared_names(cube.space, study.space)]


def _ranked_rows(study: StudyRecord, cube: Cube, most: int, levels: Sequence[float]) -> tuple[Array, Array, list[int]]:
    """Rows of its trials, best first; their scores at each level; places of those known at all levels."""
    trials = ranked(study.trials, study.goal)
    kept = thinned(len(trials), most)
    shared = set(shared_names(cube.space, study.space))
    configs = [{name: value for name, value in trials[i].params.items() if name in shared} for i in kept]
    scores = scores_at(study, levels, trials)[kept]
    return cube.rows(configs), scores, known_throughout([trials[i] for i in kept])


def _kernel(points: Sequence[Array], scores: Sequence[Array], shares: Sequence[Array]) -> Kernel:
    """Learned from the studies that share most with the space."""
    from .gaussian import most_likely_kernel  # and with it SciPy, which a plan does without

    by_use = sorted(range(len(points)), key=lambda i: (-shares[i].sum(), -len(scores[i]), i))[:LEARNED_FROM]
    kept = {i: thinned(len(scores[i]), LEARNED_POINTS) for i in by_use}
    return most_likely_kernel(
        [(points[i] * shares[i])[kept[i]] for i in by_use], [_centred(scores[i][kept[i], -1]) for i in by_use]
    )


def _centred(scores: Array) -> Array:
    return np.asarray(scores - scores.mean())
