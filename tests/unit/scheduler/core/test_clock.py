"""Time that steps back: the clock stands still instead, and no interval is ever negative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import factories
import pytest

from spotwise.scheduler.accounting.ledger import book, cost_of
from spotwise.scheduler.accounting.time_spans import training_spans
from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.base import Observation, Phase
from spotwise.scheduler.execution.state_machine import observed
from spotwise.scheduler.node_agent.end_cause import EndCause


def test_time_goes_on_at_the_steady_pace_when_the_wall_clock_is_set_back() -> None:
    """NTP sets it back by an hour: no moment comes twice, and an hour's wait still takes an hour."""
    wall, steady = [factories.at(1)], [100.0]
    system = SystemClock(lambda: wall[0], lambda: steady[0])
    before = system.now()
    wall[0], steady[0] = factories.at(0), 110.0
    assert system.now() - before == timedelta(seconds=10)
    wall[0], steady[0] = factories.at(1) + timedelta(seconds=20), 120.0
    assert system.now() == factories.at(1) + timedelta(seconds=20), "put right again"


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3), timedelta(days=4000)])
def test_a_wall_clock_that_is_set_changes_no_duration(jump: timedelta) -> None:
    wall, steady = [factories.at(1)], [100.0]
    system = SystemClock(lambda: wall[0], lambda: steady[0])
    for second in range(1, 4):
        wall[0], steady[0] = factories.at(1) + jump + timedelta(seconds=second), 100.0 + second
        assert system.now() == factories.at(1) + timedelta(seconds=second)


def test_small_steps_of_the_wall_clock_are_followed() -> None:
    """As a time service makes them day by day; the sum of many is no jump."""
    wall, steady = [factories.at(1)], [100.0]
    system = SystemClock(lambda: wall[0], lambda: steady[0])
    for _ in range(10):
        wall[0] += timedelta(seconds=11)
        steady[0] += 10
        assert system.now() == wall[0]


def test_a_machine_that_slept_has_slept() -> None:
    """The steady clock counts what the machine sleeps, as the wall clock does."""
    wall, steady = [factories.at(1)], [100.0]
    system = SystemClock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = factories.at(9), 100.0 + 8 * 3600
    assert system.now() == factories.at(9)


def test_system_clock_is_aware() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    assert SystemClock().now() <= datetime.now(UTC)


def test_machine_whose_clock_ran_backwards_costs_nothing() -> None:
    """It says that it ended before it was launched: an interval of no length, without charges."""
    seen = Observation(
        Phase.ENDED,
        launched_at=factories.at(1),
        started_at=factories.at(0.5),
        ended_at=factories.at(0),
        cause=EndCause.EXITED,
        exit_code=0,
    )
    ended = observed(factories.attempt(), seen, factories.at(2))
    assert ended.launched_at == ended.started_at == ended.ended_at
    assert book(ended, training_spans(ended, [factories.record("progress", 0.2)])) == ()
    assert cost_of(ended, factories.at(0)) == Decimal(0)


def test_progress_from_a_clock_of_its_own_is_kept_inside_the_attempt() -> None:
    """A training process whose clock is hours off shifts categories, never the sum."""
    seen = Observation(
        Phase.ENDED, launched_at=factories.at(0), ended_at=factories.at(2), cause=EndCause.EXITED, exit_code=0
    )
    ended = observed(factories.attempt(), seen, factories.at(2))
    records = [factories.record("started", 5), factories.record("checkpoint", -3), factories.record("finished", 9)]
    charges = book(ended, training_spans(ended, records))
    assert all(charge.amount_usd >= 0 and charge.start < charge.end for charge in charges)
    assert sum(charge.amount_usd for charge in charges) == cost_of(ended, factories.at(2)) > 0
