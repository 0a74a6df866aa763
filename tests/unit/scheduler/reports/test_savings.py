"""Savings net of preemptions: what the same work would have cost on demand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from factories import at, attempt, offer

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.reports.savings import net_savings

OVERHEAD, PRODUCTIVE, LOST = Category.OVERHEAD, Category.PRODUCTIVE, Category.LOST_WORK


def charges(number, start, *spans, **changes):
    """An attempt that starts at ``start`` hours; ``spans`` are (category, hours)."""
    pieces, moment = [], start
    for category, hours in spans:
        pieces.append(Span(at(moment), at(moment + hours), category))
        moment += hours
    ended = attempt(number, state=AttemptState.PREEMPTED, launched_at=at(start), ended_at=at(moment), **changes)
    return book(ended, pieces)


def test_lost_work_and_second_starts_are_not_savings():
    """Spot 0.20, on demand 0.526. Billed 1 + 2 + 1 + 1 + 2 = 7 h; on demand 1 start and 4 h of work, 5 h, suffice."""
    first = charges(1, 0, (OVERHEAD, 1), (PRODUCTIVE, 2), (LOST, 1))
    second = charges(2, 5, (OVERHEAD, 1), (PRODUCTIVE, 2))
    found = net_savings([*second, *first])
    assert found.uninterrupted_usd == Decimal("0.526") * 5
    assert found.saved_usd == Decimal("0.526") * 5 - Decimal("0.20") * 7
    assert found.share == pytest.approx(float(found.saved_usd / found.uninterrupted_usd))


def test_preemptions_can_eat_up_the_lower_price():
    found = net_savings(charges(1, 0, (PRODUCTIVE, 1), (LOST, 9)))
    assert found.saved_usd < 0


def test_each_run_has_a_first_start_of_its_own():
    one = charges(1, 0, (OVERHEAD, 1), (PRODUCTIVE, 1))
    two = charges(1, 0, (OVERHEAD, 1), (PRODUCTIVE, 1), id="other-a1", run_id="other")
    assert net_savings([*one, *two]).uninterrupted_usd == Decimal("0.526") * 4


def test_what_nobody_sells_on_demand_is_left_out():
    found = net_savings(charges(1, 0, (PRODUCTIVE, 1), offer=offer(on_demand_usd_per_hour=None)))
    assert (found.uninterrupted_usd, found.saved_usd, found.share) == (0, 0, None)
