"""Estimates against closed forms, and the properties that hold for any numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.estimate import Estimate, Overheads, estimate
from spotwise.cost_models.hazard import Hazard
from spotwise.cost_models.offer import Market, Offer

MakeOffer = Callable[..., Offer]
USUAL = Overheads(provision_hours=0.1, restore_hours=0.05, checkpoint_hours=0.02)

rates = st.floats(0.001, 0.6)
works = st.floats(0.5, 40.0)


def closed_form_billed_hours(rate: float, setup: float, work: float, interval: float, checkpoint: float) -> float:
    """Expected billed hours under a constant hazard (Daly 2006, equation 13, with the first set-up made exact).

    A stretch of length s takes ``exp(rate * setup) * (exp(rate * s) - 1) / rate`` on average; set-up alone before the
    first one adds ``(exp(rate * setup) - 1) / rate``.
    """
    count = math.ceil(work / interval - 1e-9)
    stretches = [interval + checkpoint] * (count - 1) + [work - (count - 1) * interval + checkpoint]
    growth = math.exp(rate * setup) * sum(math.expm1(rate * stretch) for stretch in stretches)
    return (growth + math.expm1(rate * setup)) / rate


@pytest.mark.parametrize(
    ("rate", "work", "interval"),
    [(0.01, 20.0, 2.0), (0.05, 10.0, 3.0), (0.2, 10.0, 1.0), (0.5, 20.0, 0.7), (1.0, 3.0, 3.0), (2.0, 10.0, 0.25)],
)
def test_the_mean_of_the_simulation_is_the_closed_form(
    make_offer: MakeOffer, rate: float, work: float, interval: float
) -> None:
    hazard, expected = Hazard.constant(rate), closed_form_billed_hours(rate, 0.15, work, interval, 0.02)
    found = [estimate(make_offer(), work, hazard, USUAL, interval_hours=interval, seed=seed) for seed in range(20)]
    assert fmean(one.hours.expected for one in found) == pytest.approx(expected, rel=0.02)
    preemptions = fmean(one.preemptions for one in found)
    assert preemptions == pytest.approx(rate * expected, rel=0.03)  # a Poisson stream over billed time


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_work_without_checkpoints_restarts_until_a_lifetime_is_long_enough(make_offer: MakeOffer, shape: float) -> None:
    """One stretch only: attempts are geometric with success probability P(lifetime >= work)."""
    hazard = Hazard(shape, 5.0)
    found = estimate(make_offer(), 3.0, hazard, Overheads(), interval_hours=3.0, samples=20_000)
    success = math.exp(-((3.0 / 5.0) ** shape))
    assert found.preemptions == pytest.approx((1 - success) / success, rel=0.05)


def test_what_a_failed_checkpoint_takes_is_overhead_and_not_lost_work(make_offer: MakeOffer) -> None:
    """One hour of work, then five to save it: a failure loses an hour at most.

    At 0.2 an hour an attempt succeeds with s = exp(-1.2) = 0.30119 and on failure loses min(life, 1), whose integral
    over the first 6 h is 5 (1 - exp(-0.2)) - s = 0.60515. Over (1 - s) / s failures that is 0.60515 / s = 2.0092 h.
    """
    terms = Overheads(checkpoint_hours=5.0)
    found = estimate(make_offer(), 1.0, Hazard.constant(0.2), terms, interval_hours=3.0, samples=20_000)
    assert found.lost_work_hours == pytest.approx(2.0092, rel=0.05)


def test_a_belief_worth_next_to_nothing_does_not_make_the_mean_infinite(make_offer: MakeOffer) -> None:
    """A twentieth of a preemption in 73 h: a few samples' rates would be fifty times the mean."""
    found = estimate(
        make_offer(), 100.0, Hazard.constant(0.05 / 73), USUAL, nodes=4, interval_hours=24.0, rate_events=0.05
    )
    assert found.can_finish
    assert found.hours.p90 < 110.0
    assert found.cost_usd.expected < 4 * 200


def test_on_demand_costs_work_setup_and_the_last_checkpoint(make_offer: MakeOffer) -> None:
    offer = make_offer(market=Market.ON_DEMAND, price="2.50")
    found = estimate(offer, 10.0, Hazard.constant(0.5), USUAL, deadline_hours=10.2, nodes=2)
    assert found.hours.expected == pytest.approx(10.17)  # 10 + 0.1 + 0.05 + 0.02
    assert found.cost_usd.expected == found.cost_usd.p10 == found.cost_usd.p90 == Decimal("50.850000")  # x 2.50 x 2
    assert (found.preemptions, found.lost_work_hours, found.chance_to_meet_deadline) == (0.0, 0.0, 1.0)
    assert found.checkpoint_interval_hours is None


def test_on_demand_with_an_interval_pays_for_its_checkpoints(make_offer: MakeOffer) -> None:
    found = estimate(make_offer(market=Market.ON_DEMAND), 10.0, Hazard.none(), USUAL, interval_hours=4.0)
    assert found.hours.expected == pytest.approx(10.21)  # stretches of 4, 4 and 2 h: three checkpoints
    assert found.checkpoint_interval_hours == 4.0


@pytest.mark.parametrize(("deadline", "chance"), [(10.0, 0.0), (13.0, None), (1000.0, 1.0)])
def test_the_chance_to_meet_a_deadline_lies_between_never_and_always(
    make_offer: MakeOffer, deadline: float, chance: float | None
) -> None:
    found = estimate(make_offer(), 10.0, Hazard.constant(0.3), USUAL, deadline_hours=deadline).chance_to_meet_deadline
    assert found is not None
    assert found == chance if chance is not None else 0.05 < found < 0.999


def test_waiting_for_capacity_takes_time_and_costs_nothing(make_offer: MakeOffer) -> None:
    at_once = estimate(make_offer(), 10.0, Hazard.constant(0.3), USUAL)
    queued = estimate(make_offer(), 10.0, Hazard.constant(0.3), USUAL, queue_hours=2.0)
    assert queued.cost_usd == at_once.cost_usd
    waited = queued.hours.expected - at_once.hours.expected
    assert waited == pytest.approx(2.0 * at_once.preemptions, rel=0.1)


def test_hopeless_work_is_infinite_and_not_a_large_number(make_offer: MakeOffer) -> None:
    found = estimate(make_offer(), 100.0, Hazard.constant(5.0), USUAL, interval_hours=100.0, deadline_hours=1e6)
    assert not found.can_finish
    assert found.cost_usd.expected == Decimal("Infinity")
    assert found.chance_to_meet_deadline == 0.0


def test_nothing_to_do_costs_the_setup_only(make_offer: MakeOffer) -> None:
    assert estimate(make_offer(), 0.0, Hazard.constant(0.1), USUAL).cost_usd.p90 == Decimal("0.150000")


def test_the_best_interval_beats_others(make_offer: MakeOffer) -> None:
    def cost(interval: float | None) -> Decimal:
        hazard = Hazard.constant(0.2)
        return estimate(make_offer(), 20.0, hazard, USUAL, interval_hours=interval, samples=5000).cost_usd.expected

    assert cost(None) < min(cost(0.05), cost(5.0))


@given(rates, works)
@settings(max_examples=40, deadline=None)
def test_billed_hours_split_without_a_rest(make_offer: MakeOffer, rate: float, work: float) -> None:
    found = estimate(make_offer(), work, Hazard(0.8, 1 / rate), USUAL, samples=300)
    assert found.hours.expected == pytest.approx(work + found.lost_work_hours + found.overhead_hours)


@given(rates, works, st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_percentiles_are_ordered_around_the_least_possible(
    make_offer: MakeOffer, rate: float, work: float, queue: float
) -> None:
    found = estimate(make_offer(), work, Hazard.constant(rate), USUAL, queue_hours=queue, samples=300)
    least = work + 0.15 + 0.02  # nothing happens and one checkpoint is written
    assert least - 1e-9 <= found.hours.p10 <= found.hours.p90
    assert found.hours.p10 <= found.hours.expected + 1e-9
    assert found.cost_usd.p10 <= found.cost_usd.expected
    assert found.cost_usd.p10 <= found.cost_usd.p90


@given(rates, works, st.floats(1.5, 4.0))
@settings(max_examples=30, deadline=None)
def test_more_hazard_never_costs_less(make_offer: MakeOffer, rate: float, work: float, times: float) -> None:
    def run(hazard: Hazard) -> Estimate:
        return estimate(make_offer(), work, hazard, USUAL, interval_hours=0.5, samples=2000)

    calm, rough = run(Hazard.constant(rate)), run(Hazard.constant(rate * times))
    assert rough.cost_usd.expected >= calm.cost_usd.expected * Decimal("0.98")  # 2000 samples know it to 2 %
    assert rough.preemptions >= calm.preemptions


@given(rates, works, st.integers(1, 400), st.integers(0, 400))
@settings(max_examples=30, deadline=None)
def test_cost_is_proportional_to_price(make_offer: MakeOffer, rate: float, work: float, cents: int, more: int) -> None:
    def cost(price_cents: int) -> Decimal:
        offer = replace(make_offer(), price_usd_per_hour=Decimal(price_cents) / 100)
        return estimate(offer, work, Hazard.constant(rate), USUAL, samples=200).cost_usd.expected

    cheap, dear = cost(cents), cost(cents + more)
    assert abs(dear * cents - cheap * (cents + more)) <= Decimal("0.000001") * (2 * cents + more)


@given(works, st.integers(1, 16))
@settings(max_examples=30, deadline=None)
def test_nodes_multiply_the_cost_and_on_spot_the_hazard(make_offer: MakeOffer, work: float, nodes: int) -> None:
    on_demand = make_offer(market=Market.ON_DEMAND)
    one, several = (estimate(on_demand, work, Hazard.none(), USUAL, nodes=n).cost_usd.expected for n in (1, nodes))
    assert abs(several - nodes * one) <= Decimal("0.000001") * nodes
    spread = estimate(make_offer(), work, Hazard.constant(0.02), USUAL, nodes=nodes, samples=300)
    joint = estimate(make_offer(), work, Hazard.constant(0.02 * nodes), USUAL, samples=300)
    assert spread.hours.expected == pytest.approx(joint.hours.expected)


def test_one_seed_gives_one_answer_and_another_seed_another(make_offer: MakeOffer) -> None:
    first, again, other = (estimate(make_offer(), 9.0, Hazard.constant(0.3), USUAL, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "terms",
    [
        {"work_hours": -1.0},
        {"work_hours": math.nan},
        {"work_hours": math.inf},
        {"interval_hours": 0.0},
        {"nodes": 0},
        {"samples": 0},
        {"queue_hours": -1.0},
        {"overheads": Overheads(provision_hours=-0.1)},
    ],
)
def test_numbers_without_meaning_are_refused(make_offer: MakeOffer, terms: dict[str, object]) -> None:
    given_terms = {"work_hours": 5.0, "hazard": Hazard.none(), "overheads": USUAL, **terms}
    with pytest.raises(CostModelError):
        estimate(make_offer(), **given_terms)
