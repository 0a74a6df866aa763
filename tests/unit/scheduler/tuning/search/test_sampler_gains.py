"""What past studies are worth on a family of smooth tasks, and that misleading ones cost little."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from bowls import Bowl, past_studies
from optuna.samplers import BaseSampler, TPESampler

from spotwise.scheduler.tuning import TransferSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)
SEEDS = range(5)
GOOD_VALUE = 0.02  # one in 85 configurations at random is as good


def best_so_far(sampler: BaseSampler, seed: int, trials: int) -> np.ndarray:
    """On a bowl of the family that no history knows."""
    study = optuna.create_study(sampler=sampler)
    study.optimize(Bowl(100 + seed).objective, trials)
    return np.minimum.accumulate([trial.value for trial in study.trials])


def trials_until_good(curve: np.ndarray) -> int:
    good = np.flatnonzero(curve <= GOOD_VALUE)
    return int(good[0]) + 1 if len(good) else len(curve) + 1


@pytest.mark.slow
def test_good_history_needs_less_than_half_of_tpes_trials_to_a_good_value() -> None:
    ours = [trials_until_good(best_so_far(TransferSampler(past_studies(), seed=s), s, 20)) for s in SEEDS]
    peers = [trials_until_good(best_so_far(TPESampler(seed=s), s, 60)) for s in SEEDS]
    assert np.mean(ours) < 0.5 * np.mean(peers)


@pytest.mark.slow
def test_history_turned_round_ends_not_much_worse_than_none() -> None:
    """Of values that fall from about 1 to 0."""
    misled, none = (
        np.mean([best_so_far(TransferSampler(history, seed=s), s, 20) for s in SEEDS], axis=0)
        for history in (past_studies(goal="maximize"), [])
    )
    assert misled[-1] < none[-1] + 0.01
    assert misled[-1] < 0.02
