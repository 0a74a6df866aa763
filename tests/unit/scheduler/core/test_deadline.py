"""How a run stands against its deadline."""

from __future__ import annotations

from decimal import Decimal

import pytest
from factories import at, run

from spotwise.scheduler.core.deadline import DeadlineState, deadline_state, is_done_late
from spotwise.scheduler.core.remaining import ChanceOf, Remaining
from spotwise.scheduler.core.run import RunState

DONE, FAILED, RUNNING = RunState.COMPLETED, RunState.FAILED, RunState.RUNNING


def left(chance: float | None) -> Remaining:
    return Remaining(
        at=at(1),
        share=0.5,
        offer="a/b/c",
        market=None,
        is_held=True,
        expected_usd=Decimal(1),
        low_usd=Decimal(1),
        high_usd=Decimal(1),
        on_demand_usd=None,
        chance_to_meet_deadline=chance,
        chance_of=ChanceOf.HELD,
    )


@pytest.mark.parametrize(
    ("state", "ended", "now", "chance", "expected"),
    [
        (DONE, 1.0, 3, None, DeadlineState.MET),
        (DONE, 2.5, 3, None, DeadlineState.MISSED),
        (FAILED, 1.0, 3, None, DeadlineState.MISSED),  # not all work was done by then
        (RUNNING, None, 1, None, DeadlineState.OPEN),
        (RUNNING, None, 1, 0.9, DeadlineState.OPEN),
        (RUNNING, None, 1, 0.4, DeadlineState.IN_DANGER),
        (RUNNING, None, 3, 0.9, DeadlineState.MISSED),
    ],
)
def test_a_deadline_is_met_missed_or_in_danger(*, state, ended, now, chance, expected) -> None:
    found = run(state=state, deadline_at=at(2), ended_at=None if ended is None else at(ended))
    assert deadline_state(found, None if chance is None else left(chance), at(now)) is expected
    assert is_done_late(found) == (state is DONE and expected is DeadlineState.MISSED)


def test_without_a_deadline_there_is_none_to_miss() -> None:
    assert deadline_state(run(state=DONE, ended_at=at(9)), None, at(9)) is None
    assert not is_done_late(run(state=DONE, ended_at=at(9)))
