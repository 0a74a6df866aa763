"""Money: an attempt's charges are its interval times its price, to the last digit, however it is cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from factories import T0, at, attempt, offer
from hypothesis import given
from hypothesis import strategies as st

from spotwise.scheduler.accounting.ledger import Category, Span, billed_hours, book, cost_of
from spotwise.scheduler.core.run import AttemptState

prices = st.decimals("0.0001", "99.9999", places=4)


def test_charges_are_of_the_zone_where_the_machines_came_up():
    ended = attempt(
        offer=offer(zone="", price="0.72"), landed_zone="us-east-1b", state=AttemptState.COMPLETED, ended_at=at(1)
    )
    (charge,) = book(ended, [Span(T0, at(1), Category.PRODUCTIVE)])
    assert (charge.offer.pool.zone, charge.amount_usd) == ("us-east-1b", Decimal("0.72"))
    assert charge.offer.key == "aws/us-east-1b/g4dn.xlarge/spot"


@st.composite
def cut_attempts(draw: st.DrawFn):
    """An ended attempt with its interval cut at random moments, each piece split into random shares."""
    seconds = draw(st.integers(1, 4 * 86_400))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, seconds - 1)), max_size=6)) - {seconds})
    moments = [0, *cuts, seconds]
    hour_s = draw(st.sampled_from([Decimal(3600), Decimal(10), Decimal("4")]))
    ended = attempt(
        offer=offer(price=str(draw(prices))),
        nodes=draw(st.integers(1, 3)),
        hour_s=hour_s,
        state=AttemptState.COMPLETED,
        ended_at=T0 + timedelta(seconds=seconds),
    )
    spans = []
    for left, right in pairwise(moments):
        parts = draw(st.integers(1, 4))
        category = draw(st.sampled_from(Category))
        for trial in range(parts):
            start, end = T0 + timedelta(seconds=left), T0 + timedelta(seconds=right)
            spans.append(Span(start, end, category, trial, Fraction(1, parts)))
    return ended, spans


@given(cut_attempts())
def test_charges_add_up_to_interval_times_price(case):
    ended, spans = case
    exact = (
        billed_hours(ended.launched_at, ended.ended_at, ended.hour_s)
        * ended.nodes
        * Fraction(ended.offer.price_usd_per_hour)
    )
    total = sum(charge.amount_usd for charge in book(ended, spans))
    assert total == cost_of(ended, ended.ended_at)
    assert abs(Fraction(total) - exact) <= Fraction(1, 2_000_000)


@given(cut_attempts())
def test_charges_neither_overlap_nor_leave_gaps(case):
    ended, spans = case
    charges = book(ended, spans)
    moments = sorted({m for c in charges for m in (c.start, c.end)})
    assert moments[0] == ended.launched_at
    assert moments[-1] == ended.ended_at
    for left, right in pairwise(moments):
        held = sum(c.share for c in charges if c.start <= left and c.end >= right)
        assert abs(held - 1) < Decimal("0.00001")


@given(cut_attempts())
def test_no_charge_crosses_midnight_utc(case):
    for charge in book(*case):
        assert charge.start.date() == (charge.end - timedelta(microseconds=1)).date()


def test_an_hour_at_20_cents_costs_20_cents():
    ended = attempt(ended_at=at(1), state=AttemptState.COMPLETED)
    (charge,) = book(ended, [Span(T0, at(1), Category.PRODUCTIVE)])
    assert charge.amount_usd == Decimal("0.200000")
    assert charge.on_demand_usd == Decimal("0.526000")
    assert charge.hours == 1


def test_a_market_hour_of_ten_seconds_is_billed_as_an_hour():
    ended = attempt(ended_at=T0 + timedelta(seconds=10), hour_s=Decimal(10), state=AttemptState.COMPLETED)
    (charge,) = book(ended, [Span(T0, ended.ended_at, Category.PRODUCTIVE)])
    assert charge.amount_usd == Decimal("0.200000")


def test_without_an_on_demand_price_savings_are_not_guessed():
    ended = attempt(ended_at=at(1), offer=offer(on_demand_usd_per_hour=None), state=AttemptState.COMPLETED)
    (charge,) = book(ended, [Span(T0, at(1), Category.PRODUCTIVE)])
    assert charge.on_demand_usd is None


@pytest.mark.parametrize(
    "spans",
    [
        [Span(T0, at(0.5), Category.PRODUCTIVE)],
        [Span(T0, at(1), Category.PRODUCTIVE), Span(at(0.5), at(1), Category.LOST_WORK)],
        [],
    ],
    ids=["gap", "overlap", "nothing"],
)
def test_spans_that_do_not_cover_the_attempt_are_refused(spans):
    with pytest.raises(ValueError, match="billed hours"):
        book(attempt(ended_at=at(1), state=AttemptState.COMPLETED), spans)


def test_an_attempt_that_runs_is_not_booked():
    with pytest.raises(ValueError, match="has not ended"):
        book(attempt(), [])


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="before it starts"):
        billed_hours(at(1), T0, Decimal(3600))


def test_a_clock_behind_the_launch_costs_nothing():
    assert cost_of(attempt(), T0 - timedelta(hours=1)) == 0


def test_a_charge_is_cut_at_midnight():
    start = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
    ended = attempt(launched_at=start, ended_at=start + timedelta(hours=2), state=AttemptState.COMPLETED)
    charges = book(ended, [Span(start, ended.ended_at, Category.PRODUCTIVE)])
    assert [c.amount_usd for c in charges] == [Decimal("0.2"), Decimal("0.2")]
