"""Hazards and what is believed of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.hazard import MONTH_HOURS, Hazard, HazardBelief, published_belief
from spotwise.cost_models.offer import Pool


def test_a_constant_hazard_has_one_rate_at_every_age() -> None:
    hazard = Hazard.constant(0.25)
    assert [hazard.rate_per_hour(age) for age in (0.0, 1.0, 100.0)] == [0.25, 0.25, 0.25]
    assert hazard.mean_lifetime_hours == 4.0


@pytest.mark.parametrize(
    ("shape", "age", "expected"),
    [
        (2.0, 3.0, 0.06),  # 2/10 * (3/10)^1
        (2.0, 0.0, 0.0),
        (0.5, 2.5, 0.1),  # 0.5/10 * (0.25)^-0.5 = 0.05 * 2
        (0.5, 0.0, math.inf),
    ],
)
def test_weibull_rates_change_with_age(shape: float, age: float, expected: float) -> None:
    assert Hazard(shape, 10.0).rate_per_hour(age) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.5])
def test_sampled_lifetimes_have_the_mean_and_the_tail_of_the_distribution(shape: float) -> None:
    hazard = Hazard(shape, 8.0)
    lifetimes = hazard.sample(np.random.default_rng(1), 200_000)
    assert lifetimes.mean() == pytest.approx(hazard.mean_lifetime_hours, rel=0.02)
    assert (lifetimes > 8.0).mean() == pytest.approx(math.exp(-1), abs=0.005)  # at the scale, whatever the shape


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.5])
def test_the_first_loss_among_nodes_has_the_distribution_of_the_minimum(shape: float) -> None:
    each = Hazard(shape, 8.0).sample(np.random.default_rng(2), 160_000).reshape(-1, 4)
    assert each.min(axis=1).mean() == pytest.approx(Hazard(shape, 8.0).first_of(4).mean_lifetime_hours, rel=0.02)


def test_no_hazard_never_preempts() -> None:
    never = Hazard.none()
    assert never == Hazard.constant(0.0)
    assert never.is_none
    assert never.rate_per_hour(5.0) == 0.0
    assert never.first_of(16) == never
    assert np.isinf(never.sample(np.random.default_rng(0), 3)).all()


@pytest.mark.parametrize(("shape", "scale"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.nan)])
def test_a_hazard_needs_positive_parameters(shape: float, scale: float) -> None:
    with pytest.raises(CostModelError):
        Hazard(shape, scale)


def test_seeing_preemptions_is_an_addition_and_is_told() -> None:
    belief = HazardBelief(0.5, 100.0, "prior").updated(3, 20.0)
    assert (belief.events, belief.hours) == (3.5, 120.0)
    assert belief.mean_per_hour == pytest.approx(3.5 / 120)
    assert belief.source == "prior; 3 preemptions in 20.0 h seen here"
    assert belief.hazard() == Hazard.constant(3.5 / 120)


def test_having_seen_nothing_changes_nothing() -> None:
    belief = HazardBelief(0.5, 100.0, "prior")
    assert belief.updated(0, 0) is belief


counts, hours = st.integers(0, 50), st.floats(0.0, 500.0)


@given(counts, hours, counts, hours)
@settings(deadline=None)
def test_the_order_of_what_was_seen_does_not_matter(k: int, h: float, later_k: int, later_h: float) -> None:
    prior = HazardBelief(0.1, 80.0, "prior")
    one, other = prior.updated(k, h).updated(later_k, later_h), prior.updated(later_k, later_h).updated(k, h)
    assert (one.events, one.hours) == pytest.approx((other.events, other.hours))


@given(st.floats(0.5, 200.0), st.floats(1.0, 1e4))
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_mean_and_narrows_with_mass(events: float, seen_hours: float) -> None:
    belief = HazardBelief(events, seen_hours, "")
    low, high = belief.interval(0.8)
    inner_low, inner_high = belief.interval(0.5)
    assert low <= inner_low <= inner_high <= high
    assert low <= belief.mean_per_hour <= high


@pytest.mark.parametrize("shape", [0.1, 1.0, 7.0, 400.0])
def test_an_interval_holds_as_many_samples_of_the_belief_as_it_says(shape: float) -> None:
    low, high = HazardBelief(shape, 1.0, "").interval(0.8)
    drawn = np.random.default_rng(3).standard_gamma(shape, 400_000)
    assert ((drawn > low) & (drawn <= high)).mean() == pytest.approx(0.8, abs=0.005)


def test_the_interval_of_one_event_is_the_exponentials() -> None:
    assert HazardBelief(1.0, 2.0, "").interval(0.8)[1] == pytest.approx(math.log(10.0) / 2.0)


@pytest.mark.parametrize(
    ("region", "instance_type", "rate", "band"),
    [
        ("us-west-2", "p3.2xlarge", 1.2552e-3, ">20%"),  # -ln(1 - 0.60) / 730
        ("us-east-1", "g4dn.xlarge", 2.6352e-4, "15-20%"),  # -ln(1 - 0.175) / 730
        ("us-east-1", "m6i.large", 1.8292e-4, "10-15%"),  # -ln(1 - 0.125) / 730
        ("ca-west-1", "c6i.12xlarge", 1.0680e-4, "5-10%"),  # -ln(1 - 0.075) / 730
        ("ca-west-1", "c6i.large", 3.4682e-5, "<5%"),  # -ln(1 - 0.025) / 730
    ],
)
def test_a_published_band_becomes_its_midpoints_hourly_rate(
    region: str, instance_type: str, rate: float, band: str
) -> None:
    belief = published_belief(Pool("aws", region, "", instance_type))
    assert belief.mean_per_hour == pytest.approx(rate, rel=1e-3)
    assert band in belief.source


def test_a_prior_is_light_so_that_a_few_preemptions_outweigh_it() -> None:
    prior = published_belief(Pool("aws", "us-west-2", "usw2-az1", "p3.2xlarge"))
    assert prior.events <= 0.1
    assert prior.hours <= MONTH_HOURS
    assert prior.updated(3, 20.0).mean_per_hour > 20 * prior.mean_per_hour


def test_a_quiet_day_hardly_moves_a_prior() -> None:
    prior = published_belief(Pool("aws", "us-east-1", "use1-az1", "g4dn.xlarge"))
    assert prior.updated(0, 24.0).mean_per_hour > 0.9 * prior.mean_per_hour


@pytest.mark.parametrize("pool", [Pool("gcp", "us-east1", "us-east1-c", "x"), Pool("aws", "us-east-1", "", "p6.new")])
def test_a_pool_without_a_figure_gets_a_weaker_prior_that_says_so(pool: Pool) -> None:
    weak = published_belief(pool)
    assert weak.source.startswith(f"weak prior, no published figure for this {pool.cloud} pool")
    assert weak.events < published_belief(Pool("aws", "us-east-1", "", "g4dn.xlarge")).events
    assert 3.4e-5 < weak.mean_per_hour < 1.3e-3  # between the lowest and the highest band
