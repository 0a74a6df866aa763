"""The deadline policy as tables.

On demand needs 10 h (9.5 h of work, 0.5 h of restart) and costs $9 unless said otherwise; its margin is 0.25 h (2 % of
the work are 0.19 h, less than the least margin). So slack = hours left - 10.25 h.
"""

from datetime import timedelta

import pytest

from spotwise.scheduler.policies import policy_named
from spotwise.scheduler.policies.base import Decision, Move, Stay, Stop, Wait


def decide(world) -> Decision:
    return policy_named("deadline", cooldown_hours=1.0).decide(world.situation)


def zone(decision: Decision) -> str:
    return decision.offer.pool.zone if isinstance(decision, Move) else type(decision).__name__


# starting


@pytest.mark.parametrize(
    ("hours_left", "spot_chance", "chosen"),
    [
        (20.0, 0.95, "spot"),  # 9.75 h of slack
        (20.0, 0.90, "spot"),
        (20.0, 0.89, "od"),  # too unlikely
        (10.3, 0.95, "spot"),  # 0.05 h of slack
        (10.25, 0.95, "od"),  # none: the safety rule
        (10.0, 0.95, "od"),  # on demand is just in time
        (9.9, 0.95, "spot"),  # on demand is late: the better chance
        (9.9, 0.10, "spot"),
    ],
)
def test_where_a_run_starts(*, world, spot, on_demand, hours_left, spot_chance, chosen) -> None:
    od_chance = 1.0 if hours_left >= 10 else 0.0
    there = world.having(spot("spot", 4, chance=spot_chance), on_demand("od", 9, chance=od_chance))
    assert zone(decide(there.with_hours_left(hours_left))) == chosen


@pytest.mark.parametrize(
    ("hours_left", "spot_cost", "available", "chosen"),
    [
        (20.00, 4.0, False, "Wait"),  # 9.75 h of slack, 9.5 h of work: there is time to wait for spot
        (19.50, 4.0, False, "od"),  # 9.25 h of slack: the rest is kept for preemptions
        (10.00, 4.0, False, "od"),  # the safety rule
        (20.00, 8.0, False, "od"),  # spot would save too little to wait for it
        (20.00, 4.0, True, "spot"),
        (20.00, 4.0, None, "spot"),  # nobody knows: trying costs nothing
    ],
)
def test_a_run_waits_for_spot_while_there_is_more_slack_than_work(
    *, world, spot, on_demand, hours_left, spot_cost, available, chosen
) -> None:
    there = world.having(spot("spot", spot_cost, available=available), on_demand("od", 9))
    assert zone(decide(there.with_hours_left(hours_left))) == chosen


def test_where_nobody_sells_spot_nothing_is_waited_for(world, on_demand) -> None:
    assert zone(decide(world.having(on_demand("od", 9)).with_hours_left(100))) == "od"


def test_long_work_has_a_margin_in_proportion(world, spot, on_demand) -> None:
    """2 % of 100 h of work are 2 h, so on-demand capacity starts with 102.5 h left."""
    there = world.having(spot("spot", 4), on_demand("od", 9, hours=100.5))
    assert zone(decide(there.with_hours_left(102.6))) == "spot"
    assert zone(decide(there.with_hours_left(102.4))) == "od"


def test_the_cheapest_of_those_in_time_is_chosen(world, spot, on_demand) -> None:
    there = world.having(spot("a", 3, chance=0.5), spot("b", 4), spot("c", 5), on_demand("od", 9)).with_hours_left(20)
    assert decide(there) == Move(
        spot("b", 4).offer,
        "aws/b/gpu spot at $0.16/h: expected $4.00, the cheapest of 3 that can finish in time; "
        "1 rejected: 1 unlikely to finish in time",
    )


def test_the_safety_rule_says_so(world, spot, on_demand) -> None:
    decision = decide(world.having(spot("a", 4), on_demand("od", 9)).with_hours_left(10.1))
    assert decision.reason == "aws/od/gpu on-demand at $0.50/h: expected $9.00; no slack is left for spot"


def test_a_faster_offer_is_the_guard_where_the_cheaper_is_late(world, spot, on_demand) -> None:
    there = world.having(spot("a", 4), on_demand("slow", 9, hours=10), on_demand("fast", 15, hours=5))
    assert zone(decide(there.with_hours_left(10.1))) == "slow"
    assert zone(decide(there.with_hours_left(8.0))) == "a"  # the fast one leaves 2.75 h of slack
    assert zone(decide(there.with_hours_left(5.1))) == "fast"


def test_where_nothing_is_likely_the_best_chance_counts(world, spot) -> None:
    decision = decide(world.having(spot("a", 3, chance=0.4), spot("b", 4, chance=0.6)).with_hours_left(9))
    assert zone(decision) == "b"
    assert (
        decision.reason == "aws/b/gpu spot at $0.16/h: expected $4.00, 60 % chance to meet the deadline, the best of 2"
    )


def test_nothing_available_waits_and_nothing_at_all_stops(world, spot, on_demand) -> None:
    away = world.having(spot("a", available=False), on_demand("od", available=False)).with_hours_left(20)
    assert isinstance(decide(away), Wait)
    assert isinstance(decide(world.with_hours_left(20)), Stop)


def test_work_of_unknown_length_goes_where_it_is_cheapest(world, spot, on_demand) -> None:
    """Without a length there is no chance to compute, and on-demand capacity promises no more than spot does."""
    decision = decide(world.having(spot("a", 4, chance=None), on_demand("od", 9, chance=None)).with_hours_left(2))
    assert zone(decision) == "a"
    assert decision.reason.endswith("the deadline cannot be minded: how much work there is is unknown")


# holding spot


@pytest.mark.parametrize(
    ("hours_left", "chance_here", "decision"),
    [
        (20.0, 0.95, "Stay"),
        (20.0, 0.10, "Stay"),  # there is slack: on-demand capacity can still take over
        (10.3, 0.95, "Stay"),
        (10.25, 0.95, "od"),  # the safety rule, however likely spot is to finish
        (10.0, 0.10, "od"),
        (9.9, 0.30, "Stay"),  # on demand would be late: a move would only cost a restart
        (-5.0, 0.0, "Stay"),
    ],
)
def test_spot_is_left_when_slack_is_used_up(*, world, spot, on_demand, hours_left, chance_here, decision) -> None:
    held = spot("spot", 4, chance=chance_here)
    od_chance = 1.0 if hours_left >= 10 else 0.0
    there = world.having(held, on_demand("od", 9, chance=od_chance)).holding(held)
    assert zone(decide(there.with_hours_left(hours_left))) == decision


def test_spot_that_the_market_no_longer_lists_is_left_as_well(world, spot, on_demand) -> None:
    there = world.having(on_demand("od", 9)).holding(spot("gone"))
    assert zone(decide(there.with_hours_left(10.1))) == "od"
    assert isinstance(decide(there.with_hours_left(20)), Stay)


def test_spot_is_held_where_there_is_nothing_to_fall_back_on(world, spot, on_demand) -> None:
    held = spot("a", 4, chance=0.1)
    for there in (world.having(held), world.having(held, on_demand("od", available=False))):
        decision = decide(there.holding(held).with_hours_left(5))
        assert decision == Stay(
            "holds aws/a/gpu spot at $0.16/h: expected $4.00 for the rest; there is no on-demand offer to fall back on"
        )


# holding on demand. To return takes 3 restarts (1.5 h) + 2 margins (0.5 h) = 2 h of slack, so 12.25 h left


@pytest.mark.parametrize(
    ("hours_left", "spot_cost", "spot_chance", "age_hours", "available", "decision"),
    [
        (20.00, 4.0, 0.95, 2.0, True, "spot"),
        (12.25, 4.0, 0.95, 2.0, True, "spot"),
        (12.20, 4.0, 0.95, 2.0, True, "Stay"),  # too little slack
        (10.00, 4.0, 0.95, 2.0, True, "Stay"),  # the safety rule
        (5.00, 4.0, 0.95, 2.0, True, "Stay"),  # late, but nothing is faster
        (20.00, 7.2, 0.95, 2.0, True, "spot"),  # saves 20 %
        (20.00, 7.3, 0.95, 2.0, True, "Stay"),
        (20.00, 4.0, 0.89, 2.0, True, "Stay"),  # too unlikely
        (20.00, 4.0, 0.95, 0.4, True, "Stay"),  # just arrived
        (20.00, 4.0, 0.95, 0.5, True, "spot"),
        (20.00, 4.0, 0.95, 2.0, False, "Stay"),
        (20.00, 4.0, 0.95, 2.0, None, "spot"),  # nobody knows, and a try costs 2 restarts: $0.50
        (20.00, 6.6, 0.95, 2.0, None, "spot"),
        (20.00, 6.8, 0.95, 2.0, None, "Stay"),  # not worth the risk
    ],
)
def test_on_demand_is_left_only_for_safe_and_worthwhile_spot(
    *, world, spot, on_demand, hours_left, spot_cost, spot_chance, age_hours, available, decision
) -> None:
    held = on_demand("od", 9)
    there = world.having(held, spot("spot", spot_cost, chance=spot_chance, available=available))
    assert zone(decide(there.holding(held, age_hours).with_hours_left(hours_left))) == decision


def test_it_does_not_return_to_a_pool_that_just_preempted(world, spot, on_demand) -> None:
    held = on_demand("od", 9)
    there = world.having(held, spot("spot", 4, refused_hours_ago=0.5)).holding(held).with_hours_left(20)
    assert isinstance(decide(there), Stay)


def test_going_back_says_what_it_saves(world, spot, on_demand) -> None:
    held = on_demand("od", 9)
    decision = decide(world.having(held, spot("a", 4)).holding(held).with_hours_left(20))
    assert decision.reason == "back to aws/a/gpu spot at $0.16/h: expected $4.00, not $9.00; 9.8 h of slack"


def test_it_does_not_swing_between_markets(world, spot, on_demand) -> None:
    """Right after the safety rule has moved a run, and for as long as it only makes headway, it stays."""
    held = on_demand("od", 9)
    for done in range(9):
        rest = on_demand("od", 9, hours=10 - done)
        there = world.having(rest, spot("spot", 1, hours=10 - done)).holding(held).with_hours_left(10.2 - done)
        assert isinstance(decide(there), Stay)


# on-demand capacity that was found wanting. The safety rule holds from 10.25 h left on


@pytest.mark.parametrize(
    ("sold_out_hours_ago", "chosen"),
    [(0.9, "od"), (0.1, "od"), (0.09, "spot"), (0.0, "spot")],
)
def test_without_slack_an_old_refusal_does_not_keep_it_from_on_demand(
    *, world, spot, on_demand, sold_out_hours_ago, chosen
) -> None:
    """One of a moment ago does: meanwhile it takes the spot capacity that it can get."""
    there = world.having(spot("spot", 4), on_demand("od", 9, sold_out_hours_ago=sold_out_hours_ago))
    assert zone(decide(there.with_hours_left(10.2))) == chosen


def test_without_slack_and_without_spot_it_waits_only_until_on_demand_can_be_tried_again(world, on_demand) -> None:
    there = world.having(on_demand("od", 9, sold_out_hours_ago=0.05)).with_hours_left(10.2)
    assert decide(there).until == there.situation.now + timedelta(minutes=6)
    later = world.having(on_demand("od", 9, sold_out_hours_ago=0.15)).with_hours_left(10.1)
    assert decide(later).reason == (
        "aws/od/gpu on-demand at $0.50/h: expected $9.00, though it had no capacity 9 min ago; "
        "no slack is left for spot"
    )


def test_without_slack_on_demand_offers_that_refused_are_tried_in_turn(world, on_demand) -> None:
    """Also where the cheapest was tried a moment ago; one that was never tried comes first of all."""
    there = world.having(on_demand("a", 9, sold_out_hours_ago=0.02), on_demand("b", 10, sold_out_hours_ago=0.3))
    assert zone(decide(there.with_hours_left(10.2))) == "b"
    assert zone(decide(there.having(on_demand("c", 11)).with_hours_left(10.2))) == "c"


@pytest.mark.parametrize(
    ("sold_out_hours_ago", "age_hours", "decision"),
    [
        (None, 0.0, "od"),
        (0.9, 2.0, "od"),
        (0.1, 0.5, "od"),
        (0.05, 2.0, "Stay"),  # it was just tried
        (0.3, 0.3, "Stay"),  # it was given up for this, and would be again
    ],
)
def test_spot_in_hand_is_not_given_up_again_and_again_for_capacity_that_is_not_there(
    *, world, spot, on_demand, sold_out_hours_ago, age_hours, decision
) -> None:
    held = spot("spot", 4)
    there = world.having(held, on_demand("od", 9, sold_out_hours_ago=sold_out_hours_ago)).holding(held, age_hours)
    assert zone(decide(there.with_hours_left(10.2))) == decision


def test_holding_spot_for_want_of_on_demand_says_so(world, spot, on_demand) -> None:
    held = spot("a", 4)
    there = world.having(held, on_demand("od", 9, sold_out_hours_ago=0.05)).holding(held).with_hours_left(10.2)
    assert decide(there).reason.endswith("for the rest; on demand had no capacity 3 min ago")
