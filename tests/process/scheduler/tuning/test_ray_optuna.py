"""What Ray Tune's own search leaves in an Optuna storage, and what is learned from it. Ray itself is not started."""

from __future__ import annotations

import logging
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState

from spotwise.scheduler.core.study import TrialState
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.exchange.found import ImportOptions
from spotwise.scheduler.tuning.exchange.source import read_source

EPOCHS = {0: 9, 1: 1, 2: 9, 3: 3}  # of each trial; a scheduler stopped 1 and 3, and 4 reported NaN
SPACE = {"lr": FloatDistribution(0.0, 1.0)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_trials_that_rays_scheduler_stopped_are_stopped_and_one_that_ended_in_nan_has_failed(tmp_path: Path) -> None:
    from ray.tune.search.optuna import OptunaSearch

    logging.getLogger("ray.tune.search.optuna.optuna_search").setLevel(logging.ERROR)
    path = tmp_path / "journal.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    search = OptunaSearch(
        space=SPACE, metric="acc", mode="max", storage=storage, study_name="rays", sampler=TransferSampler(seed=0)
    )
    for number in range(5):
        name, values = f"trial-{number}", [0.1 * number + 0.01 * epoch for epoch in range(1, EPOCHS.get(number, 2) + 1)]
        search.suggest(name)
        values = values if number in EPOCHS else [0.1, float("nan")]
        results = [{"acc": value, "training_iteration": epoch} for epoch, value in enumerate(values, 1)]
        for result in results[:-1]:
            search.on_trial_result(name, result)
        search.on_trial_result(name, results[-1])
        search.on_trial_complete(name, results[-1])

    study = optuna.load_study(study_name="rays", storage=storage)
    assert [trial.state for trial in study.trials] == [OptunaState.COMPLETE] * 4 + [OptunaState.RUNNING]
    found = read_source(str(path), ImportOptions())
    states = [trial.state for trial in found.studies[0].trials]
    assert states == [
        TrialState.COMPLETED, TrialState.PRUNED, TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED,
    ]  # fmt: skip
    assert "rays looks like Ray Tune's: 2 of 5 trials ended before the longest one: stopped early" in found.notes
