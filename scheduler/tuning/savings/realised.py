"""What past studies saved a sweep that has ended: an estimate from its own trials and from the past ones.

How good the configurations were that it took from past studies is known. How many trials a cold sweep would have needed
for that follows from the share of all configurations that are as good, which has to be estimated:

- the first ten trials are looked at: later ones are where earlier ones were good, which is no fair sample;
- each trial counts for the part of the space that it lies nearest to, so that ten tries in one corner say little;
- a line through how good past studies say each trial is and how good it was tells what they say of configurations not
  tried; where the past misled it is flat, and says nothing;
- what the line leaves is taken for chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from spotwise.cost_models.arrays import Array

from ...core.study import StudyRecord, TrialRecord
from ..model.encoding import encode
from ..model.past_studies import is_informative
from ..model.rank_scores import is_scored, ranked
from ..search.portfolio import goodness_of
from .cold_start import finest_quantile, spread
from .expected import MIN_TRIALS, Saving, random_points

# The first was chosen on recorded families (docs/studies.md); the others are not tuned.
LOG_ERROR = 2.0  # nats: by how much the logarithm of the share is off, as its 10th and 90th percentile
EARLY_TRIALS = 10  # that are looked at
NEIGHBOURHOOD_SHARE = 0.8  # of a trial's weight: the part of the space around it; the rest is the same for all
_NORMAL = NormalDist()
_MIN_CHANCE = 1e-4  # of a normal score's quantile, which must not be 0 or 1
_EVEN_SPREAD_SD = 0.29  # standard deviation of values spread evenly over a width


def realised_saving(study: StudyRecord, past: Sequence[StudyRecord]) -> Saving | None:
    """What the past studies that it used saved it; below zero where they cost trials.

    None where it took no configuration from them, where none of them is known any more, or where too few trials ended
    with a result.
    """
    known = [each for each in past if is_informative(each, study.space)]
    best_first = ranked(sorted(study.trials, key=lambda trial: trial.number)[:EARLY_TRIALS], study.goal)
    taken = [place for place, trial in enumerate(best_first) if trial.source == "prior"]
    if not known or not taken or len(best_first) < MIN_TRIALS or not is_scored(best_first[0]):
        return None
    random, tried = random_points(study.space), encode(study.space, [trial.params for trial in best_first])
    weights = _weights(tried, random)
    of_tried, of_random = (goodness_of(known, study.space, points).mean(axis=0) for points in (tried, random))
    quantile = _share_as_good(taken[0], _places(best_first, weights), weights, of_tried, of_random)
    floor = finest_quantile(len(best_first) + sum(len(ranked(each.trials, each.goal)) for each in known))
    return Saving(len(known), len(taken), spread(max(quantile, floor), LOG_ERROR, floor))


def _weights(tried: Array, random: Array) -> Array:
    """How much each trial counts, shape (trials,), with sum 1: the part of the space that it lies nearest to."""
    near = _near(random, tried)
    parts = (near / np.maximum(near.sum(axis=1, keepdims=True), 1e-12)).mean(axis=0)
    return np.asarray(NEIGHBOURHOOD_SHARE * parts / max(parts.sum(), 1e-12) + (1 - NEIGHBOURHOOD_SHARE) / len(tried))


def _near(points: Array, tried: Array) -> Array:
    """Gaussian weights, shape (points, tried); bandwidth by Scott (Multivariate Density Estimation, 1992)."""
    count, columns = tried.shape
    bandwidth = _EVEN_SPREAD_SD * max(count, 2) ** (-1.0 / (columns + 4))
    squared = ((points[:, None, :] - tried[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-0.5 * squared / bandwidth**2))


def _places(best_first: Sequence[TrialRecord], weights: Array) -> Array:
    """Each trial's place as a normal score, 0 in the middle; equal results share theirs."""
    above = np.cumsum(weights) - 0.5 * weights
    values = [trial.value if is_scored(trial) else (trial.state, trial.number) for trial in best_first]
    for value in set(values):
        same = [i for i, other in enumerate(values) if other == value]
        above[same] = above[same].mean()
    return np.array([-_NORMAL.inv_cdf(min(max(at, _MIN_CHANCE), 1 - _MIN_CHANCE)) for at in above])


def _share_as_good(best: int, places: Array, weights: Array, of_tried: Array, of_random: Array) -> float:
    """The share of all configurations that are expected to be as good as one of the trials: 0 to 1.

    Args:
        best: that one's index.
        places: normal scores of the trials, best first, shape (trials,).
        weights: of the trials, shape (trials,).
        of_tried: how good past studies say each trial is, shape (trials,).
        of_random: how good they say random configurations are, shape (points,).
    """
    middle, predicted = weights @ places, of_tried - weights @ of_tried
    slope = max(0.0, float((weights * predicted) @ places / max(float((weights * predicted) @ predicted), 1e-12)))
    left = places - middle - slope * predicted
    degrees = max(len(places) - 2, 1) / len(places)
    chance = math.sqrt(max(float(weights @ left**2) / degrees, 1e-4))
    expected = middle + slope * (of_random - weights @ of_tried)
    return float(np.mean([1.0 - _NORMAL.cdf((places[best] - each) / chance) for each in expected]))
