"""Which offers a placement decision is made from."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from factories import attempt, offer

from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.execution.situation import as_billed, still_offered
from spotwise.scheduler.node_agent.end_cause import EndCause

HERE, THERE = offer("a"), offer("b")


def test_a_place_that_refused_the_runs_task_is_offered_to_it_no_more() -> None:
    ended = attempt(offer=HERE, state=AttemptState.REFUSED, end_cause=EndCause.NOT_OFFERED)
    assert still_offered([HERE, THERE], [ended]) == [THERE]
    without_capacity = replace(ended, end_cause=EndCause.NO_CAPACITY)
    assert still_offered([HERE, THERE], [without_capacity]) == [HERE, THERE], "capacity comes back"


def test_what_is_held_is_weighed_at_the_price_that_is_paid_where_it_landed() -> None:
    dearer = replace(HERE, price_usd_per_hour=Decimal("0.72"))
    assert as_billed([HERE, THERE], attempt(offer=dearer, landed_zone="a")) == [dearer, THERE]
    assert as_billed([HERE, THERE], attempt(offer=dearer)) == [HERE, THERE], "else the market's price of now"
