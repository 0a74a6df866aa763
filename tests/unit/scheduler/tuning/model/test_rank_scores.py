from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from spotwise.scheduler.core.study import TrialRecord, TrialState
from spotwise.scheduler.tuning.model.rank_scores import (
    is_scored,
    misranked_share,
    normal_scores,
    ranked,
    thinned,
    warped_scores,
)

COMPLETED, PRUNED, FAILED, RUNNING = (
    TrialState.COMPLETED,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.RUNNING,
)


def trial(number: int, state: TrialState, value: float | None = None, **changes: Any) -> TrialRecord:
    return TrialRecord(number, {}, state, value, **changes)


def order(trials: list[TrialRecord], goal: str = "minimize") -> list[int]:
    return [each.number for each in ranked(trials, goal)]


@pytest.mark.parametrize(("goal", "expected"), [("minimize", [1, 2, 0]), ("maximize", [0, 2, 1])])
def test_completed_trials_are_ranked_by_value_in_the_goals_direction(goal: str, expected: list[int]) -> None:
    assert order([trial(0, COMPLETED, 3.0), trial(1, COMPLETED, -1.0), trial(2, COMPLETED, 2.0)], goal) == expected


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_pruned_trials_rank_behind_the_worst_completed_one_and_failed_ones_last(goal: str) -> None:
    best = -9.0 if goal == "minimize" else 9.0
    trials = [trial(0, FAILED, best), trial(1, PRUNED, best, epoch=50), trial(2, COMPLETED, 0.0)]
    assert order(trials, goal) == [2, 1, 0]


def test_pruned_trials_are_ranked_by_how_far_they_came_then_by_value() -> None:
    trials = [
        trial(0, PRUNED, 0.1, epoch=1),
        trial(1, PRUNED, 0.9, epoch=4),
        trial(2, PRUNED, 0.2, epoch=4),
        trial(3, PRUNED, None, epoch=4),
    ]
    assert order(trials) == [2, 1, 3, 0]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_completed_trial_without_a_finite_value_ranks_with_the_failed_ones(value: float | None, goal: str) -> None:
    without = trial(0, COMPLETED, value)
    assert not is_scored(without)
    assert order([without, trial(1, PRUNED, 0.0), trial(2, COMPLETED, 0.0)], goal) == [2, 1, 0]


def test_equals_keep_their_order_and_running_trials_have_no_rank() -> None:
    assert order([trial(0, RUNNING, 0.0), trial(2, COMPLETED, 1.0), trial(1, COMPLETED, 1.0)]) == [2, 1]


@pytest.mark.parametrize(("count", "most"), [(0, 5), (5, 5), (6, 5), (7, 6), (100, 10), (1500, 1000), (50, 1)])
def test_thinning_keeps_the_best_third_and_spreads_the_others_to_the_end(count: int, most: int) -> None:
    kept = thinned(count, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    if count <= most:
        assert kept.tolist() == list(range(count))
    else:
        assert kept[: most // 3].tolist() == list(range(most // 3))
        assert kept[-1] == count - 1 or most == 1
        assert len(kept) >= most - 1


@pytest.mark.parametrize(
    ("predicted", "wrong"),
    [
        ([0.0, 1.0, 2.0, 3.0], 0.0),
        ([3.0, 2.0, 1.0, 0.0], 1.0),
        ([1.0, 0.0, 2.0, 3.0], 0.2),
        ([0.0, 1.0, 3.0, 2.0], 0.0),
    ],
    ids=["right", "turned round", "one of five pairs", "only among the worse half"],
)
def test_misranked_counts_pairs_with_one_of_the_better_half(predicted: list[float], wrong: float) -> None:
    assert misranked_share(np.array(predicted)) == pytest.approx(wrong)


def test_bent_scores_keep_order_mean_and_spread_and_bring_the_best_together() -> None:
    bent, plain = warped_scores(20), normal_scores(20)
    assert (np.diff(bent) > 0).all()
    assert bent.mean() == pytest.approx(0.0, abs=1e-12)
    assert bent.std() == pytest.approx(plain.std())
    assert bent[3] - bent[0] < 0.6 * (plain[3] - plain[0])
    assert warped_scores(1).tolist() == [0.0]
