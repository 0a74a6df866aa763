"""Plans: what is chosen, what is rejected and why, what is refused and with which terms it would not be."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from factories import JOB_YAML, T0, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.policy_situation import make_situation
from spotwise.scheduler.planning.work_estimate import WorkEstimate

CHEAP = offer("a", price="0.20")
DEAR = offer("b", price="0.30")
ON_DEMAND = offer("a", Market.ON_DEMAND, "0.526")


def known(*offers, hazard_per_hour=0.05, one_machine=True, **changes):
    offers = offers or (CHEAP, DEAR, ON_DEMAND)
    values = {
        "offers": offers,
        "available": {},
        "beliefs": {o.pool: HazardBelief(10, 10 / hazard_per_hour, "test") for o in offers if o.is_spot},
        "overheads": Overheads(0.05, 0.05, 0.01),
        "hour_s": Decimal(3600),
        "cost_basis": CostBasis.ESTIMATED,
        "one_machine": one_machine,
    }
    return MarketSnapshot(**{**values, **changes})


def plan(text=JOB_YAML, hours=2.0, market=None, **changes):
    work = WorkEstimate(hours, "test", "T4")
    return make_plan(parse_job(text, source="job"), work, market or known(), T0, **changes)


def reason(found, wanted):
    return next(option.reason for option in found.options if option.offer == wanted)


def test_the_cheapest_in_time_is_chosen_with_its_reason():
    found = plan()
    assert found.chosen.offer == CHEAP
    assert "cheapest" in found.chosen.reason
    assert found.refusals == ()


def test_every_other_offer_says_why_not():
    found = plan()
    assert "USD more" in reason(found, DEAR)
    assert "USD more" in reason(found, ON_DEMAND)


NEARLY_AS_DEAR = offer("a", price="0.515")
TIGHT = JOB_YAML + "deadline: 30h\n"


def test_spot_that_only_looks_cheaper_says_what_it_costs_with_outages():
    """24 h on spot cost less than on demand while capacity lasts; with the restarts of its outages they do not."""
    found = plan(TIGHT, hours=24.0, market=known(NEARLY_AS_DEAR, ON_DEMAND, hazard_per_hour=0.01))
    costs = {option.offer: option.estimate.cost_usd.expected for option in found.options}
    assert found.chosen.offer == ON_DEMAND
    assert costs[NEARLY_AS_DEAR] < costs[ON_DEMAND]
    why = re.fullmatch(r"(\d+\.\d\d) USD expected with outages, chosen (\d+\.\d\d)", reason(found, NEARLY_AS_DEAR))
    assert float(why[1]) > float(why[2])
    assert f"${why[2]} expected for the rest" in found.chosen.reason, "the figures are those of the decision"
    assert f"spot ${why[1]}" in found.chosen.reason


def test_spot_for_which_there_is_no_slack_says_how_much_there_is_and_how_much_it_takes():
    """2.1 h of work and checkpoints in 2.55 h, a quarter of an hour in hand; two starts and an epoch take 0.4 h."""
    found = plan(JOB_YAML + "deadline: 2.55h\n", market=known(CHEAP, ON_DEMAND))
    assert found.chosen.offer == ON_DEMAND
    assert reason(found, CHEAP) == "no slack for it: 0.2 h, and to start it, lose it and go on demand takes 0.4 h"


def test_waiting_for_spot_says_what_on_demand_would_cost_against_it():
    found = plan(JOB_YAML + "deadline: 40h\n", hours=5.0, market=known(CHEAP, ON_DEMAND, available={CHEAP.key: False}))
    assert found.chosen is None
    why = re.fullmatch(r"(\d+\.\d\d) USD expected with outages, waiting (\d+\.\d\d)", reason(found, ON_DEMAND))
    assert float(why[1]) > float(why[2])


def test_on_demand_that_would_be_late_says_so():
    slow = offer("d", Market.ON_DEMAND, "0.10", accelerator="K80")
    market = known(CHEAP, ON_DEMAND, slow, one_machine=False)
    found = plan(JOB_YAML.replace("T4:1", "[T4, K80]") + "deadline: 3h\n", market=market)
    assert re.fullmatch(r"in time with \d?\d% only", reason(found, slow))


@pytest.mark.parametrize(
    ("policy", "passed_over", "why"),
    [
        ("on_demand", CHEAP, "spot, and policy: on_demand takes on-demand capacity only"),
        ("spot_only", ON_DEMAND, "on-demand, and policy: spot_only takes spot capacity only"),
    ],
)
def test_an_offer_of_the_other_market_names_the_policy(policy, passed_over, why):
    assert reason(plan(f"{JOB_YAML}policy: {policy}\n"), passed_over) == why


def test_equals_say_that_they_are():
    twin = offer("b", price="0.20")
    assert reason(plan(market=known(CHEAP, twin)), twin) == "expected to cost the same"


def test_savings_are_counted_against_the_cheapest_on_demand_offer():
    found = plan()
    costs = {option.offer: option.estimate.cost_usd.expected for option in found.options}
    assert found.savings_usd == costs[ON_DEMAND] - costs[CHEAP] > 0


def test_an_offer_without_capacity_is_passed_over():
    found = plan(market=known(available={CHEAP.key: False}))
    assert found.chosen.offer == DEAR
    assert reason(found, CHEAP) == "no capacity now"


def test_an_offer_that_refused_lately_says_when():
    found = plan(market=known(available={CHEAP.key: False}, no_capacity_at={CHEAP.key: T0 - timedelta(minutes=12)}))
    assert found.chosen.offer == DEAR
    assert reason(found, CHEAP) == "no capacity 12 min ago"
    assert "without capacity lately" in found.chosen.reason


def test_a_job_that_every_offer_refused_a_moment_ago_is_admitted_and_waits():
    offers = (CHEAP, DEAR, ON_DEMAND)
    tried = {o.key: T0 - timedelta(minutes=2) for o in offers}
    found = plan(market=known(available=dict.fromkeys(tried, False), no_capacity_at=tried))
    assert (found.chosen, found.refusals) == (None, ())
    assert {option.reason for option in found.options} == {"no capacity 2 min ago"}


def test_offers_on_the_wrong_machine_are_listed_with_the_reason():
    wrong = offer("c", accelerator="V100")
    found = plan(market=known(CHEAP, wrong))
    assert "V100" in reason(found, wrong)
    assert plan_json(found)["offers"][-1]["reason"]


@pytest.mark.parametrize("alternatives", ["{'A100:1', 'T4:1'}", "['A100:1', T4]", "!!set {'A100:1', 'T4:1'}"])
def test_any_of_several_accelerators_will_do_in_each_way_that_yaml_has_to_write_them(alternatives):
    found = plan(JOB_YAML.replace("T4:1", alternatives), market=known(CHEAP, offer("c", accelerator="V100")))
    assert found.chosen.offer == CHEAP
    assert {option.reason for option in found.options if option.estimate is None} == {"V100:1, not A100:1 or T4:1"}


def test_nothing_that_fits_is_refused():
    found = plan(JOB_YAML.replace("T4:1", "H100:8"))
    assert found.chosen is None
    assert any("no offer fits" in refusal for refusal in found.refusals)


def test_an_impossible_deadline_is_refused_with_the_nearest_that_would_work():
    found = plan(JOB_YAML + "deadline: 1h\n")
    (refusal,) = found.refusals
    assert "deadline of 1.0 h" in refusal
    assert "would be met" in refusal


def test_a_policy_that_stays_on_spot_is_judged_by_spot():
    """On demand would be in time, but spot_only never takes it."""
    market = known(CHEAP, ON_DEMAND, hazard_per_hour=5.0)
    text = JOB_YAML + "deadline: 4h\n"
    assert plan(text, market=market).refusals == ()
    (refusal,) = plan(text + "policy: spot_only\n", market=market).refusals
    assert "policy: deadline could meet it" in refusal


def test_unknown_cost_within_a_team_budget_needs_a_budget_of_its_own():
    unknown = {"hours": None, "team_money_left": Decimal(10)}
    assert "unknown" in plan(**unknown).refusals[0]
    assert plan(JOB_YAML + "budget: 9 USD\n", **unknown).refusals == ()
    assert "10.00 USD left" in plan(JOB_YAML + "budget: 11 USD\n", **unknown).refusals[0]


def test_the_files_checkpoint_interval_is_that_of_the_whole_work_on_the_offers_machine():
    """10 epochs in 2 h: an epoch is 0.2 h, also when only a tenth of the work is left."""
    job, work = parse_job(JOB_YAML, source="job"), WorkEstimate(2.0, "test", "T4")
    terms = {"deadline_at": None, "money_left": None}
    for left in (1.0, 0.1):
        situation = make_situation(job, work, [CHEAP], known(), T0, left=left, **terms)
        (candidate,) = situation.candidates
        assert candidate.estimate.checkpoint_interval_hours == pytest.approx(0.2)
        assert candidate.estimate.work_hours == pytest.approx(2.0 * left)


def test_a_budget_below_the_expected_cost_is_refused_with_what_would_suffice():
    found = plan(JOB_YAML + "budget: 0.10 USD\n")
    (refusal,) = found.refusals
    assert "0.10 USD is too small" in refusal
    assert "suffices with 90 %" in refusal


def test_a_team_without_money_is_refused():
    assert any("team has 0.05 USD left" in r for r in plan(team_money_left=Decimal("0.05")).refusals)


def test_a_team_must_have_what_would_be_set_aside_and_not_what_is_expected():
    found = plan()
    assert found.reserved_usd == found.chosen.estimate.cost_usd.p90
    (refusal,) = plan(team_money_left=found.reserved_usd - Decimal("0.01")).refusals
    assert "is set aside" in refusal
    assert plan(team_money_left=found.reserved_usd).refusals == ()
    capped = plan(JOB_YAML + "budget: 0.45 USD\n", team_money_left=Decimal("0.45"))
    assert (capped.refusals, capped.reserved_usd) == ((), min(Decimal("0.45"), found.reserved_usd))


def test_terms_that_can_be_met_are_admitted():
    found = plan(JOB_YAML + "deadline: 12h\nbudget: 5 USD\n", team_money_left=Decimal(100))
    assert found.refusals == ()
    assert found.chosen.estimate.chance_to_meet_deadline > 0.9


WITHOUT_CHECKPOINT = JOB_YAML.replace("checkpoint: {every: 1 epochs}\n", "")


def test_long_spot_work_without_a_checkpoint_goes_on_demand():
    found = plan(WITHOUT_CHECKPOINT, hours=20)
    assert found.chosen.offer == ON_DEMAND
    assert "20.0 h of work without a checkpoint" in reason(found, CHEAP)


@pytest.mark.parametrize(
    ("hours", "hazard_per_hour", "takes"),
    [(20, 0.05, "35 h"), (48, 0.15, "9,058 h"), (96, 0.15, "more than ten years")],
)
def test_what_starting_over_after_every_preemption_would_take_is_said(hours, hazard_per_hour, takes):
    """At a rate r, M = 1 / r: M (exp((start + work) / M) - 1) hours, with a start of 0.1 h."""
    found = plan(WITHOUT_CHECKPOINT, hours=hours, market=known(hazard_per_hour=hazard_per_hour))
    assert reason(found, CHEAP).endswith(f"it would take {takes} on average")
    unfit = next(row for row in plan_json(found)["offers"] if row["offer"] == CHEAP.key)
    rate, unbroken = hazard_per_hour, hours + 0.1
    assert unfit["hours_starting_over"] == pytest.approx(math.expm1(rate * unbroken) / rate)


def test_and_is_refused_where_only_spot_is_allowed():
    found = plan(WITHOUT_CHECKPOINT + "policy: spot_only\n", hours=20)
    assert found.chosen is None
    assert found.refusals


def test_short_work_may_run_on_spot_without_a_checkpoint():
    assert plan(WITHOUT_CHECKPOINT, hours=0.2).chosen.offer == CHEAP


def test_work_of_unknown_length_is_priced_by_the_hour_and_promises_nothing():
    found = plan(JOB_YAML + "deadline: 1h\nbudget: 0.01 USD\n", hours=None)
    assert found.refusals == ()
    assert found.savings_usd is None
    assert found.chosen.estimate.chance_to_meet_deadline is None


def test_a_gpu_without_published_figures_is_said_not_guessed():
    unknown = offer("d", accelerator="TPU-v6e")
    found = plan(JOB_YAML.replace("T4:1", "[T4, TPU-v6e]"), market=known(CHEAP, unknown, one_machine=False))
    assert reason(found, unknown) == "no measured or published speed of TPU-v6e against T4"


def test_a_gpu_known_by_published_figures_only_is_offered_with_a_wider_interval():
    same, published = offer("d"), offer("d", accelerator="L4")
    found = plan(JOB_YAML.replace("T4:1", "[T4, L4]"), market=known(same, published, one_machine=False))
    on_t4, on_l4 = (next(o.estimate for o in found.options if o.offer == each) for each in (same, published))
    assert on_l4.hours.p90 / on_l4.hours.p10 > on_t4.hours.p90 / on_t4.hours.p10


@pytest.mark.parametrize(
    ("every", "text"),
    [("2 epochs", "every 2 epochs, as the job file says"), ("auto", "Young/Daly")],
)
def test_the_checkpoint_interval_is_the_files_or_the_models_best(every, text):
    assert text in plan(JOB_YAML.replace("1 epochs", every)).checkpoint


def test_an_offer_that_never_finishes_is_null_in_json():
    """Preempted every 3 minutes, and a restart takes 6: no JSON reader could parse infinity."""
    market = known(CHEAP, ON_DEMAND, hazard_per_hour=20.0)
    found = plan_json(plan(market=market))
    (spot,) = [o for o in found["offers"] if o["offer"] == CHEAP.key]
    assert spot["expected_cost_usd"] is None
    assert "Infinity" not in json.dumps(found)
    assert found["chosen"] == ON_DEMAND.key


def test_json_keeps_money_as_decimal_strings():
    found = plan_json(plan(JOB_YAML + "budget: 5 USD\n"))
    assert found["budget_usd"] == "5"
    assert Decimal(found["offers"][0]["expected_cost_usd"]) > 0
    assert isinstance(found["offers"][0]["price_usd_per_hour"], str)
