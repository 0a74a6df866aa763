"""Whether a training is worth going on with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spotwise.scheduler.tuning.model.gaussian_process import Posterior, expected_improvement
from spotwise.scheduler.tuning.stopping.gittins_index import GittinsIndex

ONE = np.array([1.0])


def index_of(
    index: GittinsIndex, mean: float, sd: float, reached: int = -1, *, running: bool = False, dear: float = 1.0
) -> float:
    return float(index.of(np.array([mean]), np.array([sd]), np.array([dear]), reached, running=running)[0])


@pytest.mark.parametrize(("sd", "price"), [(1.0, 0.3), (0.5, 0.05), (2.0, 0.01)])
def test_with_one_level_what_is_gained_over_the_index_is_what_it_costs(sd: float, price: float) -> None:
    found = index_of(GittinsIndex(ONE, ONE, 0.0, price), 0.7, sd)
    gain = expected_improvement(Posterior(np.array([0.7]), np.array([sd])), found)[0]
    assert gain == pytest.approx(price, rel=0.03)


def test_being_able_to_stop_on_the_way_is_worth_something() -> None:
    whole = GittinsIndex(ONE, ONE, 0.0, 0.2)
    halves = GittinsIndex(np.array([0.9, 1.0]), np.array([0.5, 0.5]), 0.0, 0.2)
    silent = GittinsIndex(np.array([0.0, 1.0]), np.array([0.5, 0.5]), 0.0, 0.2)
    assert index_of(halves, 0.0, 1.0) < index_of(whole, 0.0, 1.0) - 0.05
    assert index_of(silent, 0.0, 1.0) == pytest.approx(index_of(whole, 0.0, 1.0), abs=0.02)


def test_by_drawing_futures_going_on_at_the_index_is_worth_nothing() -> None:
    """An independent check of two levels: pay for the first, look, and pay for the second where that is better."""
    agreement, cost, price = 0.8, np.array([0.3, 0.7]), 0.25
    found = index_of(GittinsIndex(np.array([agreement, 1.0]), cost, 0.0, price), 0.0, 1.0)
    first = np.random.default_rng(0).normal(size=200_000) * agreement  # what is believed after the first level
    left = math.sqrt(1.0 - agreement**2)
    gain = expected_improvement(Posterior(first, np.full(len(first), left)), found)
    worth = np.maximum(0.0, gain - price * cost[1]).mean() - price * cost[0]
    assert worth == pytest.approx(0.0, abs=0.01)


def test_uncertain_cheap_and_running_trials_come_first() -> None:
    index = GittinsIndex(np.array([0.8, 1.0]), np.array([0.2, 0.8]), 0.1, 0.3)
    assert index_of(index, 0.0, 1.0) < index_of(index, 0.0, 0.3)
    assert index_of(index, 0.0, 1.0, running=True) < index_of(index, 0.0, 1.0)
    assert index_of(index, 0.0, 0.5, 0, running=True) < index_of(index, 0.3, 0.5, 0, running=True)


def test_a_trial_that_is_done_is_what_it_is() -> None:
    assert index_of(GittinsIndex(ONE, ONE, 0.1, 0.3), 0.42, 1.0, 0) == 0.42


def test_a_dear_training_is_worth_less_and_a_cheap_one_more() -> None:
    index = GittinsIndex(np.array([0.8, 1.0]), np.array([0.5, 0.5]), 0.03, 0.3)
    cheap, plain, dear = (index_of(index, 0.0, 1.0, dear=dear) for dear in (0.25, 1.0, 8.0))
    assert cheap < plain < dear
    assert index_of(index, 0.0, 1.0, dear=1.2) == plain, "to the nearest power of two"
    both = index.of(np.zeros(2), np.ones(2), np.array([0.25, 8.0]), -1)
    assert both.tolist() == [cheap, dear]
