"""What past studies say of any configuration of a new space: a Gaussian process for each, over the ranks of its trials.

They share one kernel, learned from all of them, since what matters to one model on one data set mostly matters on the
next. What a past study predicts is on the scale of a standard normal: -2 is about its best, 0 its median.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..study import StudyRecord, TrialState
from .cube import Array, Cube
from .kernels import JITTER, Kernel
from .ranking import normal_scores, ranked, thinned
from .space import Space, shared_names

MOST_POINTS = 2000  # of all past studies
LEAST_POINTS = 20  # of one
LEARNED_FROM = 6  # studies, of the kernel
LEARNED_POINTS = 60  # of each
LEAST_TRIALS = 3


class PastStudies:
    """Past studies that share a parameter with the space and have a few trials; ``count`` of them may be 0."""

    def __init__(
        self,
        studies: Sequence[StudyRecord],
        cube: Cube,
        *,
        kernel: Kernel | None = None,
        least_trials: int = LEAST_TRIALS,
    ) -> None:
        """``kernel``: learned from the studies if it is None, which takes SciPy."""
        known = [study for study in studies if is_known(study, cube.space, least_trials)]
        self.count, self._cube = len(known), cube
        if not known:
            return
        most = max(MOST_POINTS // len(known), LEAST_POINTS)
        rows, scores = zip(*(_ranked_rows(study, cube, most) for study in known), strict=True)
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

    def predict(self, columns: Array) -> Array:
        """Shape (points, studies)."""
        return np.hstack([group.predict(columns) for group in self._groups])


class _Group:
    """Past studies that share the same parameters with the space: one product predicts for all of them."""

    def __init__(self, kernel: Kernel, share: Array, points: Sequence[Array], scores: Sequence[Array]) -> None:
        self._kernel = Kernel(kernel.per_length * share, kernel.amplitude, kernel.noise)
        self._points = np.vstack(points)
        self._weights = np.zeros((len(self._points), len(points)))
        noise, start = kernel.noise + JITTER, 0
        for study, (at, score) in enumerate(zip(points, scores, strict=True)):
            covariance = self._kernel.between(at, at) + noise * np.eye(len(at))
            self._weights[start : start + len(at), study] = np.linalg.solve(covariance, score)
            start += len(at)

    def predict(self, columns: Array) -> Array:
        return self._kernel.between(columns, self._points) @ self._weights


def is_known(study: StudyRecord, space: Space, least_trials: int) -> bool:
    """Whether something can be learned of it: a completed trial, a few that are over, a parameter of the space."""
    over = ranked(study.trials, study.goal)
    done = any(trial.state is TrialState.COMPLETED for trial in over)
    return done and len(over) >= least_trials and bool(shared_names(space, study.space))


def _shared(study: StudyRecord, cube: Cube) -> list[int]:
    return [cube.names.index(name) for name in shared_names(cube.space, study.space)]


def _ranked_rows(study: StudyRecord, cube: Cube, most: int) -> tuple[Array, Array]:
    """Rows of its trials, best first, and their scores."""
    trials = ranked(study.trials, study.goal)
    kept = thinned(len(trials), most)
    shared = set(shared_names(cube.space, study.space))
    configs = [{name: value for name, value in trials[i].params.items() if name in shared} for i in kept]
    return cube.rows(configs), normal_scores(len(trials))[kept]


def _kernel(points: Sequence[Array], scores: Sequence[Array], shares: Sequence[Array]) -> Kernel:
    """Learned from the studies that share most with the space."""
    from .gaussian import most_likely_kernel  # and with it SciPy, which a plan does without

    by_use = sorted(range(len(points)), key=lambda i: (-shares[i].sum(), -len(scores[i]), i))[:LEARNED_FROM]
    kept = {i: thinned(len(scores[i]), LEARNED_POINTS) for i in by_use}
    return most_likely_kernel(
        [(points[i] * shares[i])[kept[i]] for i in by_use], [_centred(scores[i][kept[i]]) for i in by_use]
    )


def _centred(scores: Array) -> Array:
    return np.asarray(scores - scores.mean())
