"""Programs are told which checkpoint stays besides the newest ones: trainings, and the trials of sweeps."""

from __future__ import annotations

from pathlib import Path

import factories
import pytest

from spotwise.checkpoints import SessionSettings
from spotwise.scheduler.core.run import RunKind
from spotwise.scheduler.execution.workloads import workload_for, write_sweep_task
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.tuning.host.trial_process import trial_environment
from spotwise.scheduler.tuning.study.sweep_task import SweepTask

TRAINING = "name: a\nrun: x\ncheckpoint: {every: 1 epochs%s}\n"
SWEEP = (
    "name: a\nrun: x\n"
    "sweep: {metric: val_loss, goal: minimize, trials: 2, space: {lr: {type: float, low: 0.1, high: 1}}%s}\n"
)


@pytest.mark.parametrize(
    ("more", "told"),
    [("", "None"), (", keep_best: val_loss", "minimize val_loss"), (", keep_best: maximize f", "maximize f")],
)
def test_a_training_program_is_told_which_checkpoint_stays(tmp_path: Path, more: str, told: str) -> None:
    text = TRAINING % more
    run = factories.run(job_yaml=text, folder=str(tmp_path), workdir=str(tmp_path))
    request = workload_for(run, parse_job(text, source="job.yaml")).request(factories.attempt())
    assert str(SessionSettings.from_env(request.env).keep_best) == told


@pytest.mark.parametrize(
    ("more", "told", "best"), [("", "None", False), (", by: best_epoch", "minimize val_loss", True)]
)
def test_a_sweep_by_the_best_epoch_keeps_each_trials_best_checkpoint(
    tmp_path: Path, more: str, told: str, best: bool
) -> None:
    text = SWEEP % more
    run = factories.run(job_yaml=text, kind=RunKind.SWEEP, folder=str(tmp_path), workdir=str(tmp_path))
    write_sweep_task(run, parse_job(text, source="sweep.yaml"), [])
    task = SweepTask.from_json((tmp_path / "sweep.json").read_text())
    assert task.by_best_epoch is best
    assert str(SessionSettings.from_env(trial_environment(task, 0, {})).keep_best) == told
