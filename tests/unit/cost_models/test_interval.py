"""Checkpoint intervals against the published formulae, with the arithmetic beside each row."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.interval import SHORTEST_HOURS, best_interval, daly, hours_to_save, young


@pytest.mark.parametrize(
    ("checkpoint", "mean_lifetime", "expected"),
    [
        (0.02, 25.0, 1.0),  # sqrt(2 * 0.02 * 25) = sqrt(1)
        (0.08, 100.0, 4.0),  # sqrt(2 * 0.08 * 100) = sqrt(16)
        (0.5, 1.0, 1.0),  # sqrt(2 * 0.5 * 1) = sqrt(1)
        (0.0, 10.0, 0.0),  # a free checkpoint: always
    ],
)
def test_young_is_the_root_of_twice_cost_times_lifetime(
    checkpoint: float, mean_lifetime: float, expected: float
) -> None:
    assert young(checkpoint, mean_lifetime) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("checkpoint", "mean_lifetime", "expected"),
    [
        # x = sqrt(C / 2M); interval = young * (1 + x/3 + x*x/9) - C
        (0.02, 25.0, 0.986711),  # x = 0.02: 1 * (1 + 0.0066667 + 0.0000444) - 0.02
        (0.5, 1.0, 0.694444),  # x = 0.5: 1 * (1 + 0.1666667 + 0.0277778) - 0.5
        (2.0, 1.0, 1.0),  # C = 2M: from here on the mean lifetime itself
        (5.0, 1.0, 1.0),
    ],
)
def test_daly_adds_higher_orders_and_takes_the_checkpoint_off(
    checkpoint: float, mean_lifetime: float, expected: float
) -> None:
    assert daly(checkpoint, mean_lifetime) == pytest.approx(expected, abs=1e-6)


def _waste(interval: float, checkpoint: float, rate: float) -> float:
    """Expected time per hour of work under a constant hazard, without set-up (Daly 2006, equation 13)."""
    return math.expm1(rate * (interval + checkpoint)) / (rate * interval)


@given(st.floats(0.001, 0.2), st.floats(2.0, 500.0))
@settings(deadline=None)
def test_daly_is_within_a_hundredth_of_the_best_there_is(checkpoint: float, mean_lifetime: float) -> None:
    rate = 1.0 / mean_lifetime
    chosen = daly(checkpoint, mean_lifetime)
    around = [chosen * 2 ** (step / 20) for step in range(-60, 61)]
    assert _waste(chosen, checkpoint, rate) <= 1.01 * min(_waste(interval, checkpoint, rate) for interval in around)


@given(st.floats(0.0, 2.0), st.floats(0.01, 1e6), st.floats(3.0, 1e4))
@settings(deadline=None)
def test_best_interval_stays_between_the_checkpoints_cost_and_the_work(cost: float, mean: float, work: float) -> None:
    assert max(cost, SHORTEST_HOURS) <= best_interval(cost, mean, work) <= work


def test_without_hazard_the_whole_work_is_one_interval() -> None:
    assert best_interval(0.1, math.inf, 30.0) == 30.0


@pytest.mark.parametrize(("checkpoint", "mean_lifetime"), [(-0.1, 1.0), (0.1, 0.0), (math.nan, 1.0), (0.1, math.nan)])
def test_numbers_without_meaning_are_refused(checkpoint: float, mean_lifetime: float) -> None:
    with pytest.raises(CostModelError, match="checkpoint interval"):
        daly(checkpoint, mean_lifetime)


@pytest.mark.parametrize(
    ("start", "interval", "lifetime", "expected"),
    [(0.5, 0.5, math.inf, 1.0), (0.5, 0.5, 1.0, math.e - 1.0), (0.5, 0.5, 1000.0, 1.0005)],
)
def test_getting_to_a_checkpoint_takes_longer_the_shorter_machines_live(
    start: float, interval: float, lifetime: float, expected: float
) -> None:
    assert hours_to_save(start, interval, lifetime) == pytest.approx(expected, rel=1e-4)


def test_getting_to_a_checkpoint_is_never_infinitely_far() -> None:
    assert math.isfinite(hours_to_save(10.0, 10.0, 0.001))
