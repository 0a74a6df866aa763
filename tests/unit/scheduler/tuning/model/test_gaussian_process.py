from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_ndtr

from spotwise.scheduler.tuning.model.gaussian_process import (
    ConditionedGP,
    Posterior,
    _negative_log_likelihood,
    expected_improvement,
    log_evidence,
    log_improvement,
    most_likely_kernel,
)
from spotwise.scheduler.tuning.model.kernels import JITTER, Kernel
from spotwise.scheduler.tuning.model.rank_scores import normal_scores


@pytest.mark.parametrize("seed", range(3))
def test_slope_of_the_misfit_is_that_of_finite_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, y = rng.random((12, 3)), rng.normal(size=12)
    squared = [(points[:, None, d] - points[None, :, d]) ** 2 for d in range(3)]
    at = rng.normal(size=5) * 0.5 + [0.0, 0.0, 0.0, -2.0, 0.0]
    _, slope = _negative_log_likelihood(squared, y, at)
    step = 1e-5
    for index, unit in enumerate(np.eye(5)):
        above, below = (
            _negative_log_likelihood(squared, y, at + step * unit)[0],
            _negative_log_likelihood(squared, y, at - step * unit)[0],
        )
        assert slope[index] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-6)


def test_misfit_is_the_negative_log_evidence_under_its_kernel() -> None:
    rng = np.random.default_rng(0)
    points, y = rng.random((9, 2)), rng.normal(size=9)
    squared = [(points[:, None, d] - points[None, :, d]) ** 2 for d in range(2)]
    kernel = Kernel(np.exp([-0.3, 0.4]), amplitude=math.exp(0.2), noise=math.exp(-2.0))
    covariance = kernel.between(points, points) + (kernel.noise + JITTER) * np.eye(9)
    assert _negative_log_likelihood(squared, y, np.array([0.3, -0.4, -2.0, 0.2]))[0] == pytest.approx(
        -log_evidence(covariance, y[:, None])[0]
    )


@pytest.mark.parametrize("matters", [0, 1])
def test_most_likely_kernel_tells_the_column_that_matters_from_the_one_that_does_not(matters: int) -> None:
    rng = np.random.default_rng(4)
    points = [rng.random((25, 2)) for _ in range(3)]
    kernel = most_likely_kernel(points, [np.sin(6 * each[:, matters] + shift) for shift, each in enumerate(points)])
    assert kernel.inverse_lengths[matters] > 4 * kernel.inverse_lengths[1 - matters]
    assert kernel.noise < 0.05


def test_most_likely_kernel_takes_what_points_do_not_explain_for_noise() -> None:
    rng = np.random.default_rng(5)
    assert most_likely_kernel([rng.random((40, 2))], [rng.normal(size=40)]).noise > 0.3


def test_posterior_meets_what_was_seen_and_returns_to_the_prior_far_away() -> None:
    kernel = Kernel(np.array([4.0]), amplitude=2.0, noise=0.0)
    seen, y = np.array([[0.1], [0.5], [0.9]]), np.array([-1.0, 2.0, 0.5])
    new = np.vstack([seen, [[50.0]]])
    covariance = kernel.between(seen, seen) + JITTER * np.eye(3)
    mean, sd = ConditionedGP(covariance, y).posterior(kernel.between(seen, new), kernel.amplitude)
    assert mean == pytest.approx([-1.0, 2.0, 0.5, 0.0], abs=1e-4)
    assert sd == pytest.approx([0.0, 0.0, 0.0, math.sqrt(2.0)], abs=2e-3)


def test_left_out_is_what_the_others_do_not_predict() -> None:
    rng = np.random.default_rng(6)
    kernel, points, y = Kernel(np.array([3.0, 1.0]), amplitude=1.5, noise=0.1), rng.random((7, 2)), rng.normal(size=7)
    noisy = kernel.between(points, points) + 0.1 * np.eye(7)
    found = ConditionedGP(noisy, y).leave_one_out_residuals
    for one in range(7):
        others = np.delete(np.arange(7), one)
        seen = ConditionedGP(noisy[np.ix_(others, others)], y[others])
        mean, _ = seen.posterior(kernel.between(points[others], points[one : one + 1]), kernel.amplitude)
        assert found[one] == pytest.approx(y[one] - mean[0])


@pytest.mark.parametrize(("mean", "sd"), [(-1.0, 0.5), (0.0, 1.0), (0.3, 0.2), (2.0, 1.5)])
def test_expected_improvement_is_the_mean_of_draws(mean: float, sd: float) -> None:
    draws = mean + sd * np.random.default_rng(0).normal(size=400_000)
    expected = np.maximum(0.2 - draws, 0.0).mean()
    found = expected_improvement(Posterior(np.array([mean]), np.array([sd])), best=0.2)
    assert found[0] == pytest.approx(expected, rel=0.02)


def test_log_improvement_is_the_logarithm_of_expected_improvement() -> None:
    ahead = np.linspace(-30.0, 5.0, 200)
    found = expected_improvement(Posterior(-ahead, np.ones(200)), best=0.0)
    assert log_improvement(ahead)[ahead > -6] == pytest.approx(np.log(found[ahead > -6]), rel=1e-6)
    # Where the improvement itself is lost in rounding, its derivative, the distribution function, tells.
    step = 1e-4
    slope = (log_improvement(ahead + step) - log_improvement(ahead - step)) / (2 * step)
    assert slope == pytest.approx(np.exp(log_ndtr(ahead) - log_improvement(ahead)), rel=1e-4)


def test_log_improvement_goes_on_where_improvement_is_none() -> None:
    ahead = -np.geomspace(100.0, 1e8, 500)
    found = log_improvement(ahead)
    assert found == pytest.approx(-0.5 * ahead**2 - 2 * np.log(-ahead), rel=1e-3)
    assert (np.diff(found) < 0.0).all()


@pytest.mark.parametrize("covariance", [[[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
def test_what_cannot_be_a_covariance_has_no_evidence(covariance: list[list[float]]) -> None:
    assert log_evidence(np.array(covariance), np.ones((2, 1))).tolist() == [-math.inf]


def test_log_evidence_differs_by_what_the_normal_density_says() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])

    def density(x: np.ndarray) -> float:
        return float(-0.5 * x @ np.linalg.inv(covariance) @ x - 0.5 * np.log(np.linalg.det(covariance)))

    for x in ([0.0, 0.0], [1.0, -2.0]):
        assert log_evidence(covariance, np.array(x)[:, None])[0] == pytest.approx(density(np.array(x)))


def test_normal_scores_rise_and_are_those_of_sorted_draws() -> None:
    draws = np.sort(np.random.default_rng(0).normal(size=(20_000, 8)), axis=1).mean(axis=0)
    assert (np.diff(normal_scores(8)) > 0).all()
    assert normal_scores(8) == pytest.approx(draws, abs=0.15)
