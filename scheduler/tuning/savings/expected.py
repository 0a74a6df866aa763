"""What past studies are expected to save a sweep, judged by leaving each of them out in turn.

For a past study, the first configurations are chosen from the others alone, as they would have been had it been the new
one. Its own trials predict how good they are there, and how good random configurations are (``goodness_of``). The share
of random ones that are at least as good says how many trials a cold sweep needs for that (``cold_start``).

The new sweep is taken for one more study of their kind, so the interval is that of one more draw: Student's t on the
logarithms, not the range of a handful of studies, which is too narrow (``benchmarks/savings.py`` counts how often it
holds). A plan says it without Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.estimate import Quantiles

from ...core.configurations import Space
from ...core.study import StudyRecord
from ..model.encoding import UnitCube
from ..model.rank_scores import ranked
from ..search.portfolio import Candidates, candidates, goodness_of, pick
from .cold_start import finest_quantile, spread

# None of these is tuned.
MIN_STUDIES = 3  # that judge: fewer do not show how much such studies differ
MIN_TRIALS = 5  # of a study that judges: fewer say nothing about good and bad configurations
RANDOM_POINTS = 512  # that stand for all configurations
MIN_LOG_SD = 0.5  # nats, of a quantile: studies that agree more do so by chance


@dataclass(frozen=True, slots=True)
class Saving:
    """How soon a sweep is as good with past studies as without."""

    studies: int  # that judged
    with_past: int  # trials that past studies gave
    without: Quantiles  # trials until a sweep without them is as good

    @property
    def trials(self) -> Quantiles:
        """Trials saved; below zero where past studies cost some."""
        w = self.without
        return Quantiles(w.expected - self.with_past, w.p10 - self.with_past, w.p90 - self.with_past)


def expected_saving(past: Sequence[StudyRecord], space: Space, size: int) -> Saving | None:
    """Of the first ``size`` configurations of a sweep; None where too few past studies can judge."""
    return expected_of(candidates(past, space), space, size)


def expected_of(found: Candidates, space: Space, size: int) -> Saving | None:
    """The same, of candidates that are at hand."""
    trials = [len(ranked(study.trials, study.goal)) for study in found.studies]
    judges = [index for index, count in enumerate(trials) if count >= MIN_TRIALS]
    if size < 1 or len(judges) < MIN_STUDIES:
        return None
    random = goodness_of(found.studies, space, random_points(space))
    left_out = [_left_out(found, index, random[index], size) for index in judges]
    logs = [math.log(max(share, finest_quantile(trials[i]))) for i, (share, _) in zip(judges, left_out, strict=True)]
    tried, floor = max(count for _, count in left_out), min(finest_quantile(trials[index]) for index in judges)
    from scipy.special import stdtrit  # here: it takes a third of a second to load

    off = float(stdtrit(len(logs) - 1, 0.9)) * max(stdev(logs), MIN_LOG_SD) * math.sqrt(1 + 1 / len(logs))
    return Saving(len(judges), tried, spread(math.exp(fmean(logs)), off, floor))


def _left_out(found: Candidates, index: int, random: Array, size: int) -> tuple[float, int]:
    """The share of random configurations that are as good in one study as the others' choice, and how many that has."""
    places = np.flatnonzero(found.owner != index)[pick(*found.without(index), size)]
    if not len(places):
        return 1.0, size  # nothing to go by: as good as anything
    as_good = np.count_nonzero(random >= found.predicted[index, places].max())
    return (1.0 + as_good) / (1.0 + len(random)), len(places)


def random_points(space: Space) -> Array:
    """Points spread over the space, encoded; always the same."""
    cube = UnitCube(space)
    return cube.columns(cube.random(RANDOM_POINTS, np.random.default_rng(0)))
