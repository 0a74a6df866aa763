"""What a study is kept with, however its sweep ended; and records of older versions."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import factories
import pytest
from supervised import RUN_ID, SupervisedWorld

from spotwise.cost_models.offer import Pool
from spotwise.scheduler.core.run import AttemptState, RunKind, RunState
from spotwise.scheduler.core.study import StudyRecord, TaskDescription, TrialMachine
from spotwise.scheduler.core.study_json import study_from_json, study_to_json
from spotwise.scheduler.execution.study_record import machines_of, past_studies
from spotwise.scheduler.execution.workloads import write_sweep_task
from spotwise.scheduler.jobfile.job_spec import parse_job

SWEEP = """\
name: digits
labels: {ticket: V-1}
resources: {accelerators: T4:1}
checkpoint: {every: 1 epochs}
work: {epochs: 4, hours: 1}
sweep:
  metric: accuracy
  goal: maximize
  trials: 3
  space:
    lr: {type: float, low: 0.001, high: 0.1, log: true}
  task: {data: shelves-2026, size: 1200}
run: python train.py
"""
PAST = StudyRecord("past-1", "digits", "accuracy", "maximize", {"lr": {"type": "float"}}, factories.T0)


@pytest.fixture
def world(tmp_path: Path) -> SupervisedWorld:
    made = SupervisedWorld(tmp_path)
    write_sweep_task(made.submit(text=SWEEP, kind=RunKind.SWEEP), parse_job(SWEEP, source="sweep"), [PAST])
    return made


def test_a_cancelled_sweep_is_kept_with_all_that_is_known(world: SupervisedWorld) -> None:
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.store.request_cancel(RUN_ID)
    world.pass_time(supervisor, 0.2)
    assert world.run().state is RunState.CANCELLED
    (study,) = world.store.studies()
    assert (study.id, study.metric, study.goal, study.labels["ticket"]) == (RUN_ID, "accuracy", "maximize", "V-1")
    assert study.space == {"lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}
    assert study.task == TaskDescription("shelves-2026", 1200)
    assert study.machines == (TrialMachine("aws", "g4dn.xlarge", "T4:1"),)
    assert study.priors == ("past-1",)
    assert study.cost_usd == world.spent() > 0
    assert study.cost_basis == "emulated"  # as the engine in memory says


def test_a_sweep_that_is_cancelled_before_it_starts_is_kept_too(world: SupervisedWorld) -> None:
    world.store.request_cancel(RUN_ID)
    world.pass_time(world.supervisor(), 0.2)
    (study,) = world.store.studies()
    assert (study.machines, study.cost_usd, study.trials) == ((), Decimal(0), ())


def test_machines_are_named_once_and_a_refused_attempt_ran_on_none() -> None:
    attempts = [
        factories.attempt(1),
        factories.attempt(2, offer=factories.offer("b")),  # another zone, the same machine
        factories.attempt(3, offer=factories.offer(pool=Pool("gcp", "us", "us-a", "n1-standard-8"), accelerator=None)),
        factories.attempt(
            4, state=AttemptState.REFUSED, offer=factories.offer(pool=Pool("gcp", "us", "us-a", "a2-highgpu-1g"))
        ),
    ]
    assert [str(machine) for machine in machines_of(attempts)] == ["aws/g4dn.xlarge T4:1", "gcp/n1-standard-8"]


def test_a_lost_or_damaged_task_file_hinders_nobody(tmp_path: Path) -> None:
    assert past_studies(tmp_path / "sweep.json") == ()
    (tmp_path / "sweep.json").write_text('{"format": 1, "pri')
    assert past_studies(tmp_path / "sweep.json") == ()


def test_a_record_of_an_older_spotwise_is_read() -> None:
    old = study_to_json(PAST)
    for added in ("task", "machines", "cost_usd", "cost_basis", "priors", "origin"):
        del old[added]
    assert study_from_json(json.loads(json.dumps(old))) == PAST
