"""The sampler computes on one thread, whatever the program that asks it has set for its own work."""

from __future__ import annotations

import optuna
from blas import threads, three_threads

from spotwise.scheduler.tuning import TransferSampler


def test_a_proposal_keeps_to_one_thread_and_leaves_the_programs_own_alone() -> None:
    found: set[int] = set()

    def cost_of(_: optuna.trial.FrozenTrial) -> float:
        found.update(threads())
        return 1.0

    study = optuna.create_study(sampler=TransferSampler([], seed=0, cost_of=cost_of))
    with three_threads():
        study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=8)
        assert threads() == {3}
    assert found == {1}
