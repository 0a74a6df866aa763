from __future__ import annotations

import numpy as np
import pytest

from spotwise.cost_models.arrays import Array
from spotwise.scheduler.tuning.model.single_study_gp import SingleStudyGP

LOWEST = np.array([0.3, 0.7, 0.4])


def seen(trials: int = 25, pending: int = 2) -> SingleStudyGP:
    """Of a bowl."""
    rng = np.random.default_rng(0)
    points = rng.random((trials, 3))
    order = np.argsort(((points - LOWEST) ** 2).sum(axis=1), kind="stable")
    return SingleStudyGP(points[order], order.astype(float), rng.random((pending, 3)))


def some_points(count: int = 6) -> Array:
    return np.random.default_rng(7).random((count, 3))


def test_log_gain_is_that_of_the_gain_and_its_slope_that_of_finite_differences() -> None:
    own, points, step = seen(), some_points(), 1e-6
    log_expected_improvement, slope = own.log_expected_improvement(points, own.best)
    assert log_expected_improvement == pytest.approx(np.log(own.expected_improvement(points, own.best)), abs=1e-6)
    for column, unit in enumerate(np.eye(3)):
        above, below = (own.log_expected_improvement(points + sign * step * unit, own.best)[0] for sign in (1, -1))
        assert slope[:, column] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-4)


def test_at_summits_no_neighbour_gains_more() -> None:
    own = seen()
    points = some_points(200)
    begin = points[np.argsort(-own.expected_improvement(points, own.best))[:3]]
    tops = own.local_maxima(begin, own.best, np.ones(3, dtype=bool))
    gain = own.expected_improvement(tops, own.best)
    assert (gain >= own.expected_improvement(begin, own.best)).all()
    around = np.clip(tops[:, None] + np.random.default_rng(1).normal(size=(3, 100, 3)) * 0.02, 0.0, 1.0)
    for top, near in zip(gain, around, strict=True):
        assert own.expected_improvement(near, own.best).max() <= 1.001 * top


def test_what_may_not_move_stays_and_the_rest_stays_inside() -> None:
    own, begin = seen(), some_points()
    tops = own.local_maxima(begin, own.best, np.array([True, False, True]))
    assert (tops[:, 1] == begin[:, 1]).all()
    assert (tops[:, [0, 2]] != begin[:, [0, 2]]).any()
    assert ((tops >= 0.0) & (tops <= 1.0)).all()


def test_over_the_seen_best_uncertain_points_rank_higher() -> None:
    """Against over the best without luck, which is nearer to what is expected beside it."""
    own = seen(pending=0)
    beside, far = own._started[:1] + 0.02, np.array([[0.0, 0.0, 1.0]])
    assert own.best < own.best_denoised
    ratios = [
        own.expected_improvement(far, bar) / own.expected_improvement(beside, bar)
        for bar in (own.best, own.best_denoised)
    ]
    assert ratios[0] > ratios[1]
