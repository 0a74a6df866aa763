from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from factories import T0, attempt, offer

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.planning.availability_history import REMEMBERED_HOURS, availability_histories
from spotwise.scheduler.policies.base import EPOCH

HOUR = timedelta(hours=1)
CLOCK = (T0 - EPOCH) / HOUR


def told(chain: AvailabilityHistory | None) -> list[tuple[float, bool, bool]]:
    """(hours after T0, whether there was capacity, whether it was held since the look before), the oldest first."""
    looks = []
    while chain is not None:
        looks.append((round(chain.at_hours - CLOCK, 3), chain.available, chain.held))
        chain = chain.before
    return looks[::-1]


def seen(*attempts, now=T0 + 2 * HOUR) -> list[tuple[float, bool, bool]]:
    pool = attempts[0].offer.pool
    return told(availability_histories(attempts, now).get(pool))


def test_what_ran_saw_capacity_all_the_while_and_its_preemption_the_end_of_it() -> None:
    ended = T0 + HOUR / 2
    one = attempt(state=AttemptState.PREEMPTED, started_at=T0, ended_at=ended)
    ticks = [(0.0, True, False), (0.167, True, True), (0.333, True, True), (0.5, True, True), (0.5, False, False)]
    assert sorted(seen(one)) == sorted(ticks)
    assert seen(one)[-1] in {(0.5, False, False), (0.5, True, True)}


def test_the_end_of_all_work_says_nothing_of_capacity() -> None:
    looks = seen(attempt(state=AttemptState.COMPLETED, started_at=T0, ended_at=T0 + HOUR / 3))
    assert {available for _, available, _ in looks} == {True}


def test_a_refusal_saw_none_and_who_is_still_asking_has_seen_nothing() -> None:
    assert seen(attempt(state=AttemptState.REFUSED, ended_at=T0 + HOUR)) == [(1.0, False, False)]
    assert seen(attempt(state=AttemptState.LAUNCHING)) == []


def test_attempts_in_one_pool_are_told_as_they_happened_and_others_apart() -> None:
    first = attempt(1, state=AttemptState.REFUSED, ended_at=T0 + HOUR)
    second = attempt(2, state=AttemptState.REFUSED, ended_at=T0 + HOUR / 2)
    elsewhere = attempt(3, offer=offer("b"), state=AttemptState.REFUSED, ended_at=T0)
    assert seen(first, second, elsewhere) == [(0.5, False, False), (1.0, False, False)]
    assert len(availability_histories([first, elsewhere], T0 + HOUR)) == 2


def test_on_demand_capacity_and_what_was_long_ago_do_not_count() -> None:
    assert availability_histories([attempt(offer=offer(market=Market.ON_DEMAND), started_at=T0)], T0 + HOUR) == {}
    late = T0 + (REMEMBERED_HOURS + 3) * HOUR
    assert availability_histories([attempt(state=AttemptState.REFUSED, ended_at=T0)], late) == {}


def test_the_clock_is_of_billed_hours() -> None:
    one = attempt(state=AttemptState.REFUSED, ended_at=T0, hour_s=Decimal(10))
    (chain,) = availability_histories([one], T0).values()
    assert chain.at_hours == pytest.approx((T0 - EPOCH) / timedelta(seconds=10))
