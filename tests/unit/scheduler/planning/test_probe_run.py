"""A short run on an accelerator of uncertain speed: offered where knowing the speed is worth more than it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from factories import JOB_YAML, T0, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Offer
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import Plan, make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.policy_situation import make_situation
from spotwise.scheduler.planning.probe_run import expected_gain, worthwhile_probe
from spotwise.scheduler.planning.work_estimate import WorkEstimate

T4 = offer("a", Market.ON_DEMAND, "0.50", accelerator="T4")


def on_l4(price: str) -> Offer:
    return offer("b", Market.ON_DEMAND, price, accelerator="L4")


def plan(*offers: Offer, hours: float, one_machine: bool = False, terms: str = "") -> Plan:
    market = MarketSnapshot(
        offers,
        {},
        {o.pool: HazardBelief(10, 200, "test") for o in offers},
        Overheads(0.05, 0.05, 0.01),
        Decimal(3600),
        CostBasis.ESTIMATED,
        one_machine=one_machine,
    )
    job = parse_job(JOB_YAML.replace("T4:1", "[T4, L4]") + terms, source="job")
    return make_plan(job, WorkEstimate(hours, "test", "T4"), market, T0)


def test_long_work_that_two_gpus_do_at_much_the_same_price_is_worth_a_probe() -> None:
    found = plan(T4, on_l4("0.68"), hours=500.0)
    assert found.probe is not None
    assert found.probe.offer != found.chosen.offer
    assert found.probe.saves_usd > found.probe.price_usd > 0
    assert plan_json(found)["probe"]["accelerator"] == "L4"
    assert found.probe.offer.key in found.probe.text


def test_short_work_is_not() -> None:
    assert plan(T4, on_l4("0.68"), hours=0.2).probe is None


def test_nor_is_a_gpu_whose_price_no_likely_speed_makes_up_for() -> None:
    assert plan(T4, on_l4("9.00"), hours=500.0).probe is None


def test_nor_is_a_run_on_this_machine_whatever_the_offer_is_called() -> None:
    assert plan(T4, on_l4("0.68"), hours=500.0, one_machine=True).probe is None


def test_nor_is_a_market_that_the_policy_does_not_take() -> None:
    spot = replace(on_l4("0.68"), market=Market.SPOT)
    assert plan(T4, spot, hours=500.0, terms="policy: on_demand\n").probe is None


def test_what_another_offer_saves_without_a_look_is_not_put_down_to_the_look() -> None:
    """A policy may hold what is not the cheapest; that the other is cheaper is known already."""
    offers = (T4, on_l4("0.10"))
    market = MarketSnapshot(
        offers, {}, {}, Overheads(0.05, 0.05, 0.01), Decimal(3600), CostBasis.ESTIMATED, one_machine=False
    )
    job, work = parse_job(JOB_YAML.replace("T4:1", "[T4, L4]"), source="job"), WorkEstimate(500.0, "test", "T4")
    situation = make_situation(job, work, offers, market, T0, deadline_at=None, money_left=None)
    now, there = (float(candidate.estimate.cost_usd.expected) for candidate in situation.candidates)
    assert there < now / 2
    found = worthwhile_probe(situation, T4, job.policy, work, market)
    assert found is None or float(found.saves_usd) < (now - there) / 10


@pytest.mark.parametrize(("there", "sigma"), [(90.0, 0.3), (110.0, 0.3), (150.0, 0.2)])
def test_the_expected_gain_is_the_mean_fall_below_todays_cost(there: float, sigma: float) -> None:
    draws = there * np.exp(sigma * np.random.default_rng(0).standard_normal(200_000) - 0.5 * sigma**2)
    assert expected_gain(100.0, there, sigma) == pytest.approx(np.maximum(100.0 - draws, 0.0).mean(), abs=0.1)


def test_a_known_speed_leaves_nothing_to_learn() -> None:
    assert expected_gain(100.0, 120.0, 0.0) == 0.0
    assert math.isclose(expected_gain(100.0, 80.0, 0.0), 20.0)
