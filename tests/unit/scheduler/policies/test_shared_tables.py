"""Pools whose terms differ only by price share a few tables."""

from __future__ import annotations

import pytest

from spotwise.cost_models.availability import AvailabilityBelief, shipped_model
from spotwise.scheduler.policies import cost_to_go as tables
from spotwise.scheduler.policies.cost_to_go import NOTHING, Held, Terms
from spotwise.scheduler.policies.shared_tables import MOST_TABLES, SharedTables

TERMS = Terms(tick_hours=1.0, ticks=24, slack_hours=8.0, restart_hours=0.2)
SIXTY_TWO = [0.31 + 0.01 * n for n in range(62)]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Terms]:
    """The terms of each table that is solved."""
    found: list[Terms] = []
    solved = tables._Solver.solved

    def counted(solver: tables._Solver) -> tables.Table:
        found.append(solver._terms)
        return solved(solver)

    monkeypatch.setattr(tables._Solver, "solved", counted)
    monkeypatch.setattr(tables, "_made", type(tables._made)())
    return found


def _cost(shared: SharedTables, share: float) -> float:
    belief = AvailabilityBelief.of_an_unseen_pool(shipped_model())
    return shared.after(belief, share, 20.0, 6.0, Held(NOTHING))


def test_sixty_two_pools_of_many_prices_need_no_more_than_three_tables_and_later_decisions_none(
    made: list[Terms],
) -> None:
    for _ in range(2):
        SharedTables(shipped_model(), TERMS, SIXTY_TWO)
    assert len(made) == MOST_TABLES == 3


def test_between_tables_the_cost_is_within_two_percent_of_a_table_for_that_price() -> None:
    shared = SharedTables(shipped_model(), TERMS, SIXTY_TWO)
    for share in (0.35, 0.45, 0.6, 0.75):
        alone = _cost(SharedTables(shipped_model(), TERMS, [share]), share)
        assert 0.98 * alone <= _cost(shared, share) <= 1.001 * alone


def test_few_prices_have_tables_of_their_own(made: list[Terms]) -> None:
    shared = SharedTables(shipped_model(), TERMS, [0.3, 0.3, 0.5])
    assert [terms.spot_share for terms in made] == pytest.approx([0.3, 0.5])
    assert _cost(shared, 0.3) < _cost(shared, 0.5)


def test_spot_capacity_dearer_than_on_demand_does_not_stretch_the_tables_of_others(made: list[Terms]) -> None:
    shared = SharedTables(shipped_model(), TERMS, [0.3, 0.4, 0.5, 250.0])
    assert max(terms.spot_share for terms in made) == pytest.approx(1.2)
    assert _cost(shared, 250.0) == _cost(shared, 1.2)
