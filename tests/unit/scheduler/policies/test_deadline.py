"""The deadline policy as tables.

On demand needs 10 h (9.5 h of work, 0.5 h of restart) unless said otherwise; 0.25 h are kept in hand (2 % of the work
are 0.19 h, less than the least margin). So slack = hours left - 9.75 h, and on-demand capacity takes 0.5 h of it.
"""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.scheduler.policies import policy_named
from spotwise.scheduler.policies.base import Decision, Move, Stay, Stop, Wait
from spotwise.scheduler.policies.choice import wait


def decide(world) -> Decision:
    return policy_named("deadline", cooldown_hours=1.0).decide(world.situation)


def zone(decision: Decision) -> str:
    return decision.offer.pool.zone if isinstance(decision, Move) else type(decision).__name__


# starting


@pytest.mark.parametrize(
    ("hours_left", "spot_chance", "chosen"),
    [
        (20.0, 0.95, "spot"),
        (20.0, 0.10, "spot"),  # on-demand capacity can still take over
        (11.0, 0.95, "spot"),  # 1.25 h of slack
        (10.5, 0.95, "od"),  # a start that may fail, and one on demand, cost as much as spot saves in what is left
        (10.4, 0.95, "od"),  # the safety rule: after a tick of it on-demand capacity could not be started any more
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
    ("hours_left", "price", "available", "chosen"),
    [
        (40.0, "0.16", False, "Wait"),
        (20.0, "0.16", False, "Wait"),
        (10.4, "0.16", False, "od"),  # the safety rule
        (20.0, "0.48", False, "od"),  # spot would save too little to wait for it
        (20.0, "0.16", True, "spot"),
        (20.0, "0.16", None, "spot"),  # nobody knows: trying costs nothing
    ],
)
def test_a_run_waits_for_spot_while_that_is_expected_to_pay(
    *, world, spot, on_demand, hours_left, price, available, chosen
) -> None:
    there = world.having(spot("spot", 4, available=available, price=price), on_demand("od", 9))
    assert zone(decide(there.with_hours_left(hours_left))) == chosen


@pytest.mark.parametrize(("at_most", "waits"), [(1.0, 0.1), (0.05, 0.05), (-1.0, 0.02)])
def test_a_wait_is_no_longer_than_on_demand_capacity_can_be_put_off(world, at_most: float, waits: float) -> None:
    situation = replace(world.situation, look_hours=0.02)
    decision = wait(situation, "no spot", 1.0, at_most)
    assert decision.until - situation.now == pytest.approx(timedelta(hours=waits), abs=timedelta(seconds=1))


def test_nothing_is_waited_for_where_spot_is_there(world, spot, on_demand) -> None:
    many = world.having(*(spot(name) for name in "abcdef"), on_demand("od", 9))
    assert zone(decide(many.with_hours_left(100))) == "a"


def test_a_run_with_much_slack_takes_the_spot_capacity_that_is_there_though_it_is_not_the_cheapest(
    world, spot, on_demand
) -> None:
    """The two cheap pools have just preempted it, and will hardly be back at once."""
    for hours in (1.5, 2.5, 4.5):
        preempted = [spot(name, price="0.19", hours=hours, refused_hours_ago=0.1) for name in ("a", "b")]
        others = [spot("c", price="0.25", hours=hours), spot("d", price="0.28", hours=hours)]
        there = world.having(*preempted, *others, on_demand("od", 2, hours=hours)).with_hours_left(hours + 21)
        assert zone(decide(there)) == "c"


def test_what_was_seen_of_a_pool_counts(world, spot, on_demand) -> None:
    """Of two pools at one price the one that lasted is taken; the other lost its capacity again and again."""
    steady, shaky = spot("steady"), spot("shaky")
    now = world.situation.clock_hours
    lasted, flickered = AvailabilityHistory(now - 48, True), AvailabilityHistory(now - 48, True)
    for tick in range(1, 48 * 6 + 1):
        lasted = lasted.then(now - 48 + tick / 6, True)
        flickered = flickered.then(now - 48 + tick / 6, tick % 3 != 0 or tick == 48 * 6)
    there = world.having(replace(shaky, seen=flickered), replace(steady, seen=lasted), on_demand("od", 9))
    decision = decide(there.with_hours_left(14))
    assert zone(decision) == "steady"


def test_where_nobody_sells_spot_nothing_is_waited_for(world, on_demand) -> None:
    assert zone(decide(world.having(on_demand("od", 9)).with_hours_left(100))) == "od"


def test_long_work_has_a_margin_in_proportion(world, spot, on_demand) -> None:
    """2 % of 100 h of work are 2 h, so that spot is left with 102.5 h to go."""
    held = spot("spot", 40, hours=100.5)
    there = world.having(held, on_demand("od", 90, hours=100.5)).holding(held)
    assert zone(decide(there.with_hours_left(102.6))) == "Stay"
    assert zone(decide(there.with_hours_left(102.4))) == "od"


def test_the_cheaper_of_two_pools_of_which_as_much_is_known_is_chosen(world, spot, on_demand) -> None:
    there = world.having(spot("a", price="0.20"), spot("b", price="0.15"), on_demand("od", 9)).with_hours_left(20)
    assert zone(decide(there)) == "b"


def test_a_faster_offer_is_worth_its_price(world, spot, on_demand) -> None:
    there = world.having(spot("slow", price="0.20"), spot("fast", price="0.25", hours=5.25), on_demand("od", 9))
    assert zone(decide(there.with_hours_left(20))) == "fast"


def test_the_reason_counts_all_nodes(world, spot, on_demand) -> None:
    there = world.having(spot("a"), on_demand("od", 9)).with_hours_left(20).situation
    one, two = (
        float(re.search(r"\$([\d.]+) expected", policy_named("deadline").decide(replace(there, nodes=nodes)).reason)[1])
        for nodes in (1, 2)
    )
    assert two == pytest.approx(2 * one, abs=0.02)


def test_the_reason_gives_the_expected_cost_beside_that_of_the_other_choices(world, spot, on_demand) -> None:
    reason = decide(world.having(spot("a"), on_demand("od", 9)).with_hours_left(20)).reason
    assert re.fullmatch(
        r"aws/a/gpu spot at \$0\.16/h: \$2\.\d\d expected for the rest, on-demand \$2\.\d\d; 10\.2 h of slack", reason
    ), reason


def test_the_safety_rule_says_so(world, spot, on_demand) -> None:
    decision = decide(world.having(spot("a", 4), on_demand("od", 9)).with_hours_left(10.1))
    assert decision.reason == "aws/od/gpu on-demand at $0.50/h: expected $9.00; no slack is left for spot"


def test_a_faster_offer_is_the_guard_where_the_cheaper_is_late(world, spot, on_demand) -> None:
    there = world.having(spot("a", 4), on_demand("slow", 9, hours=10), on_demand("fast", 15, hours=5))
    assert zone(decide(there.with_hours_left(10.1))) == "slow"
    assert zone(decide(there.with_hours_left(9.5))) == "a"  # the fast one leaves 4.75 h of slack
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
        (10.2, 0.95, "od"),  # the safety rule, however likely spot is to finish
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


@pytest.mark.parametrize(
    ("held_hours", "other_price", "refused_hours_ago", "moves"),
    [
        (0.001, "0.03", 1.001, False),  # placed 4 s ago; another pool's cooldown has ended: that is no news of it
        (2.0, "0.03", 1.001, True),  # held for longer than a cooldown; 7 % are saved
        (2.0, "0.03", 0.9, False),  # still cooling
        (0.001, "0.03", None, False),  # what has just been paid to start this one would be lost
        (2.0, "0.03", None, True),
        (2.0, "0.10", None, False),  # 1 %: the estimates are not that exact
    ],
)
def test_spot_in_hand_is_left_for_a_pool_that_pays_for_the_move(
    *, world, spot, on_demand, held_hours, other_price, refused_hours_ago, moves
) -> None:
    held = spot("held", 4, price="0.40")
    other = spot("other", 4, price=other_price, refused_hours_ago=refused_hours_ago)
    there = world.having(held, other, on_demand("od", 9)).holding(held, age_hours=held_hours).with_hours_left(40)
    assert isinstance(decide(there), Move) is moves


# holding on demand


@pytest.mark.parametrize(
    ("hours_left", "price", "available", "decision"),
    [
        (20.0, "0.16", True, "spot"),
        (12.0, "0.16", True, "spot"),
        (10.4, "0.16", True, "Stay"),  # too little slack
        (5.0, "0.16", True, "Stay"),  # late, but nothing is faster
        (20.0, "0.49", True, "Stay"),  # not worth a restart
        (20.0, "0.16", False, "Stay"),
        (20.0, "0.16", None, "spot"),  # nobody knows, and a try may cost two restarts
        (20.0, "0.35", None, "Stay"),  # not worth the risk
    ],
)
def test_on_demand_is_left_only_for_safe_and_worthwhile_spot(
    *, world, spot, on_demand, hours_left, price, available, decision
) -> None:
    held = on_demand("od", 9)
    there = world.having(held, spot("spot", 4, available=available, price=price))
    assert zone(decide(there.holding(held).with_hours_left(hours_left))) == decision


def test_it_does_not_return_to_a_pool_that_just_preempted(world, spot, on_demand) -> None:
    held = on_demand("od", 9)
    there = world.having(held, spot("spot", 4, refused_hours_ago=0.5)).holding(held).with_hours_left(20)
    assert isinstance(decide(there), Stay)


@pytest.mark.parametrize(
    ("failed_probe_hours", "asked_hours_ago", "asks"),
    [
        (0.03, 0.5, False),  # 8 % likely by now: 0.014 h have been missed so far
        (0.03, 1.0, True),  # 11 % and 0.036 h
        (1.0, 4.0, False),  # 0.22 h: an attempt in vain that costs an hour is not made again so soon
    ],
)
def test_a_pool_is_asked_again_once_not_asking_has_cost_as_much_as_asking(
    *, world, spot, on_demand, failed_probe_hours, asked_hours_ago, asks
) -> None:
    held = on_demand("od", 9, hours=30)
    refused = AvailabilityHistory(world.situation.clock_hours - asked_hours_ago, available=False)
    pool = replace(spot("spot", 4, available=None, hours=30), seen=refused)
    there = world.having(held, pool).holding(held, age_hours=5.0).with_hours_left(50)
    decision = policy_named("deadline", cooldown_hours=0.0).decide(
        replace(there.situation, failed_probe_hours=failed_probe_hours)
    )
    assert zone(decision) == ("spot" if asks else "Stay")


def test_going_back_says_what_it_saves(world, spot, on_demand) -> None:
    held = on_demand("od", 9)
    reason = decide(world.having(held, spot("a", 4)).holding(held).with_hours_left(20)).reason
    assert re.fullmatch(r"back to aws/a/gpu spot at .* expected for the rest, on-demand \$.*; 10\.2 h of slack", reason)


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
        "aws/od/gpu on-demand at $0.50/h: expected $9.00, though it had no capacity 9 min ago, "
        "the cheapest of 1 on demand"
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
