"""What past studies say of any configuration of a new space: a Gaussian process for each, over the ranks of its trials.

They share one kernel, learned from all of them, since what matters to one model on one data set mostly matters on the
next. What a past study predicts is on the scale of a standard normal: -2 is about its best, 0 its median.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..study import StudyRecord, TrialState
from .cube import Array, Cube
from .gaussian import JITTER, Kernel, most_likely_kernel, normal_scores
from .ranking import ranked, thinned
from .space import shared_names

MOST_POINTS = 1000  # of all past studies
LEAST_POINTS = 20  # of one
LEARNED_FROM = 6  # studies, of the kernel
LEARNED_POINTS = 60  # of each
_LEAST_TRIALS = 3


class PastStudies:
    """Past studies that share a parameter with the space and have a few trials; ``len`` of them may be 0."""

    def __init__(self, studies: Sequence[StudyRecord], cube: Cube) -> None:
        known = [study for study in studies if _is_known(study, cube)]
        self.count, self._cube = len(known), cube
        if not known:
            return
        most = max(MOST_POINTS // len(known), LEAST_POINTS)
        rows, scores = zip(*(_ranked_rows(study, cube, most) for study in known), strict=True)
        shares = [np.isin(cube.parameter, _shared(study, cube)).astype(float) for study in known]
        points = [cube.columns(each) for each in rows]
        self.rows: Array = np.vstack(rows)  # of all past trials
        self.kernel = _kernel(points, scores, shares)
        self._parts = [_solved(self.kernel, *each) for each in zip(points, scores, shares, strict=True)]

    def predict(self, columns: Array) -> Array:
        """Shape (points, studies)."""
        return np.stack([kernel.between(columns, points) @ weights for kernel, points, weights in self._parts], axis=1)


def _is_known(study: StudyRecord, cube: Cube) -> bool:
    over = ranked(study.trials, study.goal)
    done = any(trial.state is TrialState.COMPLETED for trial in over)
    return done and len(over) >= _LEAST_TRIALS and bool(shared_names(cube.space, study.space))


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
    by_use = sorted(range(len(points)), key=lambda i: (-shares[i].sum(), -len(scores[i]), i))[:LEARNED_FROM]
    kept = {i: thinned(len(scores[i]), LEARNED_POINTS) for i in by_use}
    return most_likely_kernel(
        [(points[i] * shares[i])[kept[i]] for i in by_use], [_centred(scores[i][kept[i]]) for i in by_use]
    )


def _centred(scores: Array) -> Array:
    return np.asarray(scores - scores.mean())


def _solved(kernel: Kernel, points: Array, scores: Array, share: Array) -> tuple[Kernel, Array, Array]:
    """The kernel over the columns that a study shares, its points, and what each weighs in a prediction."""
    own = Kernel(kernel.per_length * share, kernel.amplitude, kernel.noise)
    covariance = own.between(points, points) + (own.noise + JITTER) * np.eye(len(points))
    return own, points, np.asarray(np.linalg.solve(covariance, scores))
