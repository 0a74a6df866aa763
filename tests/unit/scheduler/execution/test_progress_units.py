"""Epochs, steps, saves by minutes: whatever a program counts is progress: for the crash limit and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import T0, record
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.checkpoints import ProgressRecord
from spotwise.scheduler.accounting.time_spans import work_kept
from spotwise.scheduler.core.kept_work import KeptWork
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.execution.workloads import SweepWorkload, TrainingWorkload
from spotwise.scheduler.jobfile.job_spec import parse_job

STATED = "work: {epochs: 10, hours: 2}"
SAVES: dict[str, Callable[[int], ProgressRecord]] = {
    "epochs": lambda n: record("checkpoint", n, epoch=n, checkpoint=f"step-{n}"),
    "steps of one long epoch": lambda n: record("checkpoint", n, step=60 * n, checkpoint=f"step-{60 * n}"),
    "minutes, of a program that counts nothing": lambda n: record("checkpoint", n, checkpoint=f"save-{n}"),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SupervisedWorld]:
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
@pytest.mark.parametrize("gets_on", [True, False])
def test_a_program_that_crashes_and_gets_on_in_any_unit_is_started_again(
    world: SupervisedWorld, save: Callable[[int], ProgressRecord], gets_on: bool
) -> None:
    """Crashes in a row without progress are what fails a run."""
    world.submit()
    supervisor = world.supervisor()
    for n in range(1, 6):
        world.pass_time(supervisor, 0.1)
        world.progress(save(n if gets_on else 1))
        world.engine.exit(world.live().id, 1)
        world.pass_time(supervisor, 0.1)
    assert (world.run().state is RunState.FAILED) is not gets_on


def progress(tmp_path: Path, work: str, *records: ProgressRecord) -> tuple[float, str]:
    made = SupervisedWorld(tmp_path)
    text = job_yaml().replace(STATED, work)
    run = made.submit(text=text)
    made.progress(*records)
    found = TrainingWorkload(run, parse_job(text, source="job")).progress()
    made.store.close()
    return found.fraction, found.text


@pytest.mark.parametrize(
    ("work", "saved", "fraction", "text"),
    [
        ("work: {steps: 400}", {"step": 272}, 0.68, "step 272 of 400, 272 kept"),
        ("work: {epochs: 10}", {"epoch": 3, "step": 30}, 0.3, "epoch 3 of 10, 3 kept"),
        ("work: {epochs: 1, steps: 400}", {"step": 100}, 0.25, "step 100 of 400, 100 kept"),
        ("work: {hours: 2}", {"step": 100}, 0.0, "step 100, 100 kept"),
        ("work: {epochs: 2}", {"step": 100}, 0.0, "epoch 0 of 2, 0 kept (step 100, 100 kept)"),
    ],
)
def test_what_is_kept_and_left_is_told_in_the_unit_of_the_job_file(
    tmp_path: Path, work: str, saved: dict[str, int], fraction: float, text: str
) -> None:
    assert progress(tmp_path, work, record("checkpoint", 1, checkpoint="c", **saved)) == (fraction, text)


def test_what_is_left_after_a_preemption_in_the_middle_of_an_epoch_is_the_rest_of_its_steps(
    world: SupervisedWorld,
) -> None:
    world.submit(text=job_yaml().replace(STATED, "work: {steps: 400, hours: 2}"))
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.progress(record("checkpoint", 0.4, step=300, checkpoint="step-300"))
    world.engine.preempt(world.live().id)
    world.pass_time(supervisor, 0.1)
    remaining = world.store.remaining(RUN_ID)
    assert remaining is not None
    assert remaining.share == pytest.approx(0.25)
    assert world.attempts()[0].kept == KeptWork(0, 300)


def test_only_what_is_committed_counts_as_kept() -> None:
    assert work_kept([record("progress", 1, epoch=3, step=30)]) == KeptWork()
    again = [record("checkpoint", hours, checkpoint="save-1") for hours in (1, 2)]
    assert work_kept(again) == KeptWork(0, 1)


def test_steps_of_a_sweeps_trials_are_progress_too(tmp_path: Path) -> None:
    from fractions import Fraction

    from spotwise.checkpoints import ProgressWriter
    from spotwise.scheduler.tuning.study.events import Asked, Started, StudyLog

    made = SupervisedWorld(tmp_path)
    text = job_yaml().replace("checkpoint: {every: 1 epochs}", "checkpoint: {every: 10 steps}")
    text = text.replace("hours: 2}", "hours: 2, steps: 1000}")
    text += "sweep: {metric: m, goal: maximize, trials: 2, parallel: 1, space: {lr: {type: float, low: 0.1, high: 1}}}"
    run = made.submit(text=text.replace("sleep 7200", "train $HP_LR"))
    log = StudyLog(Path(run.folder) / "study", 1)
    log.append(Asked(T0, 1, 0, {"lr": 0.5}, "sampler"))
    log.append(Started(T0, 1, 0, Fraction(1)))
    workload = SweepWorkload(run, parse_job(run.job_yaml, source="job"))
    before = workload.progress().kept
    (Path(run.folder) / "trials" / "0000").mkdir(parents=True)
    writer = ProgressWriter(str(Path(run.folder) / "trials" / "0000" / "progress.jsonl"))
    writer.write(record("checkpoint", 1, step=60, checkpoint="step-60"))
    first = workload.progress().kept
    writer.write(record("checkpoint", 2, step=120, checkpoint="step-120"))
    assert before < first < workload.progress().kept
    made.store.close()
