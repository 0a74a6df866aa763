"""What is left of a run: where it is, on demand, and with which chance in time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from factories import JOB_YAML, T0, at, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.remaining import ChanceOf
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.policy_situation import make_situation
from spotwise.scheduler.planning.remaining_cost import estimate_remaining
from spotwise.scheduler.planning.work_estimate import WorkEstimate

SPOT = offer("a", price="0.20")
ON_DEMAND = offer("a", Market.ON_DEMAND, "0.50")
START_HOURS = 0.2
WORK_HOURS = 10.0


def remaining(policy="deadline", deadline_hours=30.0, *, hazard_per_hour=0.05, sigma=0.0, hours=WORK_HOURS, **changes):
    known = MarketSnapshot(
        offers=(SPOT, ON_DEMAND),
        available=changes.pop("available", {}),
        beliefs={SPOT.pool: HazardBelief(10_000, 10_000 / hazard_per_hour, "test")},
        overheads=Overheads(START_HOURS, 0.0, 0.0),
        hour_s=Decimal(3600),
        cost_basis=CostBasis.ESTIMATED,
        one_machine=True,
    )
    deadline = None if deadline_hours is None else at(deadline_hours)
    terms = {"deadline_at": deadline, "money_left": None, "current": SPOT, "current_age_hours": 1.0, **changes}
    job, work = parse_job(JOB_YAML, source="job"), WorkEstimate(hours, "test", "T4", sigma)
    return estimate_remaining(make_situation(job, work, known.offers, known, T0, **terms), policy)


def test_on_demand_in_hand_costs_its_price_times_the_work_left_and_no_other_start():
    found = remaining(current=ON_DEMAND, left=0.4)
    assert found.expected_usd == found.low_usd == found.high_usd == found.on_demand_usd == Decimal("2.00")
    assert (found.share, found.offer, found.is_held) == (pytest.approx(0.4), ON_DEMAND.key, True)


def test_a_start_that_is_not_over_is_still_to_be_paid():
    assert remaining(current=ON_DEMAND, left=0.4, current_age_hours=0.05).expected_usd == Decimal("2.075")


def test_spot_in_hand_costs_its_preemptions_too_and_stands_beside_on_demand():
    found = remaining()
    assert Decimal("2.00") == found.low_usd < found.expected_usd < found.high_usd < Decimal("5.00")
    assert found.on_demand_usd == Decimal("5.10")  # with a start


def test_with_slack_the_chance_is_that_of_going_on_demand_now():
    """Preempted every 24 minutes, spot alone would be late."""
    assert remaining("spot_only", 12.0, hazard_per_hour=2.5).chance_to_meet_deadline < 0.1
    found = remaining("deadline", 12.0, hazard_per_hour=2.5)
    assert (found.chance_to_meet_deadline, found.chance_of) == (1.0, ChanceOf.ON_DEMAND)


def test_the_chance_is_of_the_distribution_of_the_work():
    """10 h give or take a factor with a standard deviation of its logarithm of 0.2: 14 h are ln(1.38) / 0.2 = 1.61."""
    found = remaining("auto", 14.0, sigma=0.2)
    assert found.chance_to_meet_deadline == pytest.approx(0.946, abs=0.015)
    assert found.chance_of is ChanceOf.ON_DEMAND


@pytest.mark.parametrize("policy", ["cheapest", "spot_only"])
def test_a_policy_that_does_not_mind_the_deadline_has_the_chance_of_what_it_holds(policy):
    found = remaining(policy, 12.0)
    assert 0.5 < found.chance_to_meet_deadline < 1.0
    assert found.chance_of is ChanceOf.HELD


def test_without_on_demand_capacity_the_chance_is_that_of_spot():
    found = remaining("deadline", 12.0, available={ON_DEMAND.key: False})
    assert 0.5 < found.chance_to_meet_deadline < 1.0
    assert (found.chance_of, found.on_demand_usd) == (ChanceOf.HELD, None)


def test_without_slack_for_a_start_on_demand_spot_in_hand_is_what_may_be_in_time():
    found = remaining("deadline", WORK_HOURS + START_HOURS / 2, hazard_per_hour=0.01)
    assert 0.5 < found.chance_to_meet_deadline < 1.0
    assert found.chance_of is ChanceOf.HELD


def test_on_demand_in_hand_needs_no_other_start_to_be_in_time():
    found = remaining("deadline", WORK_HOURS, current=ON_DEMAND)
    assert (found.chance_to_meet_deadline, found.chance_of) == (1.0, ChanceOf.HELD)
    assert remaining("deadline", WORK_HOURS, current=ON_DEMAND, current_age_hours=0.1).chance_to_meet_deadline == 0.0


def test_a_run_that_waits_is_estimated_on_the_cheapest_that_it_could_take():
    found = remaining(current=None)
    assert (found.offer, found.is_held, found.chance_of) == (SPOT.key, False, ChanceOf.ON_DEMAND)
    assert remaining("on_demand", current=None).offer == ON_DEMAND.key
    assert remaining("spot_only", current=None).chance_to_meet_deadline is None, "nobody knows when spot is back"


def test_no_deadline_no_chance():
    found = remaining(deadline_hours=None)
    assert found.expected_usd > 0
    assert (found.chance_to_meet_deadline, found.chance_of) == (None, None)


def test_nothing_is_said_of_work_that_nobody_knows_or_that_would_never_end():
    assert remaining(hours=None) is None
    assert remaining("spot_only", hazard_per_hour=20.0, current=None) is None


def test_what_is_left_shrinks_with_the_work():
    assert remaining(left=0.2).expected_usd < remaining(left=0.4).expected_usd < remaining().expected_usd


def test_an_offer_that_is_no_longer_sold_has_no_estimate():
    assert remaining(current=replace(SPOT, pool=offer("z").pool)) is None
