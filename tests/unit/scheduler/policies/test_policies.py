"""Where a run starts under each policy, and what a person is told."""

from datetime import timedelta

import pytest

from spotwise.scheduler.core.errors import ExitCode, InputError
from spotwise.scheduler.policies import NAMES, policy_named
from spotwise.scheduler.policies.base import Decision, Move, Stay, Stop, Wait


def decide(world, policy: str = "cheapest") -> Decision:
    return policy_named(policy, cooldown_hours=1.0).decide(world.situation)


def zone(decision: Decision) -> str:
    """The zone moved to; the kind of decision otherwise."""
    return decision.offer.pool.zone if isinstance(decision, Move) else type(decision).__name__


# which offer: (cost on spot a, cost on spot b, cost on demand c, what is unavailable) -> the zone under each policy
@pytest.mark.parametrize(
    ("costs", "unavailable", "cheapest", "spot_only", "on_demand_only"),
    [
        ((4, 5, 9), "", "a", "a", "c"),
        ((5, 4, 9), "", "b", "b", "c"),
        ((4, 5, 3), "", "c", "a", "c"),  # on demand is cheaper where spot is preempted all the time
        ((4, 5, 9), "a", "b", "b", "c"),
        ((4, 5, 9), "ab", "c", "Wait", "c"),
        ((4, 5, 9), "c", "a", "a", "Wait"),
        ((4, 5, 9), "abc", "Wait", "Wait", "Wait"),
        ((4, 4, 9), "", "a", "a", "c"),  # equals by name: the same choice every time
    ],
)
def test_where_a_run_starts(*, world, spot, on_demand, costs, unavailable, cheapest, spot_only, on_demand_only) -> None:
    there = world.having(
        spot("a", costs[0], available="a" not in unavailable),
        spot("b", costs[1], available="b" not in unavailable),
        on_demand("c", costs[2], available="c" not in unavailable),
    )
    assert zone(decide(there, "cheapest")) == cheapest
    assert zone(decide(there, "spot_only")) == spot_only
    assert zone(decide(there, "on_demand")) == on_demand_only


@pytest.mark.parametrize(
    ("a_refused_hours_ago", "b_refused_hours_ago", "chosen"),
    [
        (None, None, "a"),
        (0.0, None, "b"),
        (0.99, None, "b"),
        (1.0, None, "a"),  # the cooldown is over
        (0.5, 0.5, "a"),  # nothing else is there
        (0.5, 2.0, "b"),
    ],
)
def test_a_pool_that_preempted_the_run_is_avoided(world, spot, a_refused_hours_ago, b_refused_hours_ago, chosen):
    there = world.having(
        spot("a", 4, refused_hours_ago=a_refused_hours_ago), spot("b", 5, refused_hours_ago=b_refused_hours_ago)
    )
    assert zone(decide(there)) == chosen


# when an attempt last found a and b without capacity, in hours -> where the run goes
@pytest.mark.parametrize(
    ("a_hours_ago", "b_hours_ago", "chosen"),
    [
        (0.5, None, "b"),  # never tried comes first, though it costs more
        (0.05, None, "b"),
        (0.5, 0.4, "a"),  # longest ago
        (0.4, 0.5, "b"),
        (0.5, 0.1, "a"),
        (0.5, 0.09, "Wait"),  # one was just tried: not all the time
        (0.05, 0.05, "Wait"),
    ],
)
@pytest.mark.parametrize("policy", NAMES)
def test_offers_that_refused_lately_are_tried_again_in_turn(
    *, world, spot, on_demand, a_hours_ago, b_hours_ago, chosen, policy
) -> None:
    make = on_demand if policy == "on_demand" else spot
    there = world.having(
        make("a", 4, sold_out_hours_ago=a_hours_ago), make("b", 5, sold_out_hours_ago=b_hours_ago)
    ).with_hours_left(40)
    assert zone(decide(there, policy)) == chosen


def test_a_pool_that_preempted_the_run_comes_before_one_without_capacity(world, spot) -> None:
    there = world.having(spot("a", 4, sold_out_hours_ago=0.5), spot("b", 5, refused_hours_ago=0.1))
    assert zone(decide(there)) == "b"


def test_an_offer_that_the_engine_states_to_be_away_is_not_tried_again(world, spot) -> None:
    there = world.having(spot("a", 4, available=False), spot("b", 5, sold_out_hours_ago=0.3))
    assert decide(there).reason == (
        "aws/b/gpu spot at $0.16/h: expected $5.00, though it had no capacity 18 min ago, the cheapest of 1 available; "
        "1 rejected: 1 not available"
    )


def test_waiting_for_capacity_says_what_was_tried(world, spot) -> None:
    decision = decide(world.having(spot("a", sold_out_hours_ago=0.01), spot("b", sold_out_hours_ago=0.02)))
    assert decision.reason == "no offer is available; 2 rejected: 2 without capacity lately; looking again in 0.1 h"


def test_the_cooldown_counts_billed_hours(world, spot) -> None:
    """On a market whose hour lasts 10 s, a preemption 11 s ago is more than an hour ago."""
    from dataclasses import replace

    eleven_seconds = 11 / 3600
    there = world.having(spot("a", 4, refused_hours_ago=eleven_seconds), spot("b", 5))
    assert zone(decide(there)) == "b"
    assert zone(decide(replace(there, hour_s=10.0))) == "a"


def test_availability_that_nobody_knows_is_tried(world, spot) -> None:
    assert zone(decide(world.having(spot("a", available=None)))) == "a"


@pytest.mark.parametrize("policy", NAMES)
def test_a_healthy_attempt_stays_where_it_is(world, spot, on_demand, policy) -> None:
    """Also where another offer has become cheaper."""
    held = spot("a", 4)
    assert isinstance(decide(world.having(held, spot("b", 1), on_demand("c", 2)).holding(held), policy), Stay)


@pytest.mark.parametrize("policy", NAMES)
def test_without_any_offer_it_stops(world, policy) -> None:
    assert isinstance(decide(world, policy), Stop)


def test_spot_only_stops_where_spot_is_not_sold(world, on_demand) -> None:
    assert decide(world.having(on_demand("a")), "spot_only") == Stop(
        "no spot offer can do this work; 1 rejected: 1 of the other market"
    )


def test_an_offer_where_work_never_ends_is_not_chosen(world, spot) -> None:
    endless = spot("a", float("inf"), hours=float("inf"))
    assert zone(decide(world.having(endless, spot("b", 9)))) == "b"
    assert decide(world.having(endless)) == Stop(
        "no offer can do this work; 1 rejected: 1 preempted too often to finish"
    )


def test_waiting_ends_after_a_tenth_of_a_billed_hour(world, spot) -> None:
    there = world.having(spot("a", available=False))
    assert decide(there) == Wait(
        there.situation.now + timedelta(minutes=6),
        "no offer is available; 1 rejected: 1 not available; looking again in 0.1 h",
    )


def test_the_reason_names_the_choice_and_the_rejections(world, spot, on_demand) -> None:
    there = world.having(
        spot("a", 4.1),
        spot("b", 5, available=False),
        spot("c", 3, refused_hours_ago=0.2),
        spot("d", float("inf"), hours=float("inf")),
        on_demand("e", 9),
    )
    assert decide(there).reason == (
        "aws/a/gpu spot at $0.16/h: expected $4.10, the cheapest of 2 available; "
        "3 rejected: 1 not available, 1 preempted or refused this run lately, 1 preempted too often to finish"
    )


def test_small_prices_are_shown_with_more_digits(world, spot) -> None:
    assert "at $0.0412/h" in decide(world.having(spot("a", price="0.0412"))).reason


# money


@pytest.mark.parametrize(
    ("money", "chosen", "says_so"), [(100, "a", False), (4, "a", False), (3.99, "a", True), (0, "a", True)]
)
def test_too_little_money_is_said_and_does_not_stop(world, spot, money, chosen, says_so) -> None:
    """Ending a run whose budget is spent is the supervisor's, which does it at a checkpoint."""
    decision = decide(world.having(spot("a", 4), spot("b", 5)).with_money(money))
    assert zone(decision) == chosen
    assert ("left, as is every other" in decision.reason) is says_so


# names


def test_every_name_is_the_policy_s_own() -> None:
    assert [policy_named(name, 1.0).name for name in NAMES] == list(NAMES)


def test_an_unknown_name_is_bad_input() -> None:
    with pytest.raises(InputError, match="allowed: auto, deadline, cheapest, on_demand, spot_only") as caught:
        policy_named("cheap", 1.0)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


# auto


def test_auto_minds_the_deadline_if_there_is_one(world, spot, on_demand) -> None:
    there = world.having(spot("a", 4, chance=0.3), on_demand("b", 9))
    assert zone(decide(there, "auto")) == "a"
    assert zone(decide(there.with_hours_left(10.3), "auto")) == "b"


def test_deadline_without_a_deadline_is_cheapest(world, spot, on_demand) -> None:
    there = world.having(spot("a", 4, chance=None), on_demand("b", 9, chance=None))
    assert decide(there, "deadline") == decide(there, "cheapest")
