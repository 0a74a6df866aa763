"""The tables of costs to go."""

from __future__ import annotations

import numpy as np
import pytest
from blas import threads, three_threads

from spotwise.cost_models.availability import shipped_model
from spotwise.scheduler.policies import cost_to_go
from spotwise.scheduler.policies.cost_to_go import CostToGo, Terms


def test_tables_are_made_on_one_thread_and_the_programs_own_threads_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: set[int] = set()
    best = cost_to_go._Solver._best

    def watched(solver: cost_to_go._Solver, after: cost_to_go.Table, hours_left: float) -> cost_to_go.Table:
        found.update(threads())
        return best(solver, after, hours_left)

    monkeypatch.setattr(cost_to_go._Solver, "_best", watched)
    with three_threads():
        tables = CostToGo(
            shipped_model(), Terms(tick_hours=0.5, ticks=8, slack_hours=2.0, restart_hours=0.2, spot_share=0.3)
        )
        assert threads() == {3}
    assert found == {1}
    assert np.isfinite(tables._tables).all()
