"""Sweeps of spaces with few configurations: each is tried once, and then the sweep is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.configurations import configuration_key
from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.host.sweep import LiveSweep, TrialExit
from spotwise.scheduler.tuning.search.grid import GridProposer
from spotwise.scheduler.tuning.search.proposer import Proposer
from spotwise.scheduler.tuning.stopping.freeze_thaw_trials import FreezeThawTrials
from spotwise.scheduler.tuning.study.early_end import EarlyEndCause
from spotwise.scheduler.tuning.study.events import Finished, StudyLog, read_events
from spotwise.scheduler.tuning.study.study_state import TrialPhase, read_study
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

MakeTask = Callable[..., SweepTask]
MakeStudy = Callable[..., StudyRecord]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

CATEGORICAL: dict[str, dict[str, Any]] = {
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd", "lion"]},
    "nesterov": {"type": "categorical", "choices": [True, False]},
}
INTEGER: dict[str, dict[str, Any]] = {
    "layers": {"type": "int", "low": 1, "high": 3},
    "width": {"type": "int", "low": 64, "high": 128, "step": 64},
}
STEPS: dict[str, dict[str, Any]] = {
    "dropout": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1},
    "width": {"type": "int", "low": 2, "high": 3, "log": True},
}
CONDITIONAL: dict[str, dict[str, Any]] = {
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.8, "step": 0.2, "when": {"optimizer": "sgd"}},
}
SIX = pytest.mark.parametrize(
    "space", [CATEGORICAL, INTEGER, STEPS, CONDITIONAL], ids=["choice", "int", "step", "when"]
)


def live(task: SweepTask) -> LiveSweep:
    log, study = StudyLog(task.study_folder, task.attempt), read_study(task.study_folder)
    proposer = GridProposer(task) if task.search == "grid" else Proposer(task)
    thaws = FreezeThawTrials(task) if task.freezes else None
    return LiveSweep(
        task, log, study, proposer, now=ManualClock(NOW).now, say=lambda _: None, kill=lambda _: None,
        leave=lambda _: None, freeze_thaw=thaws,
    )  # fmt: skip


def run(sweep: LiveSweep, fails: Callable[[int], bool] = lambda _: False, most: int = 40) -> int:
    """Trials until none is given; every one is completed in an epoch, or crashes after it."""
    for count in range(most):
        trial = sweep.take()
        if trial is None:
            return count
        sweep.started(trial.number, NOW)
        sweep.reported(trial.number, 1, float(len(repr(trial.params))), NOW)
        sweep.exited(trial.number, TrialExit(int(fails(trial.number)), NOW, "no"))
    return most


def times_tried(sweep: LiveSweep, space: dict[str, dict[str, Any]]) -> list[int]:
    keys = Counter(configuration_key(space, trial.params) for trial in sweep.study.trials.values())
    return sorted(keys.values())


@SIX
@pytest.mark.parametrize("search", ["model", "grid"])
def test_each_of_six_configurations_is_tried_once_though_eight_trials_are_allowed(
    make_task: MakeTask, space: dict[str, dict[str, Any]], search: str
) -> None:
    trials = 6 if search == "grid" else 8
    sweep = live(make_task(space=space, trials=trials, parallel=1, search=search))
    assert run(sweep) == 6
    assert times_tried(sweep, space) == [1] * 6
    assert sweep.is_over
    sweep.finish()
    assert read_study(sweep._task.study_folder).end_reason == (
        "" if search == "grid" else "all 6 configurations of the space were tried"
    )


def test_a_finite_space_without_a_number_of_trials_ends_with_its_cause(make_task: MakeTask) -> None:
    task = make_task(space=CATEGORICAL, trials=None, parallel=1)
    sweep = live(task)
    assert run(sweep) == 6
    sweep.finish()
    (finished,) = (event for event in read_events(task.study_folder) if isinstance(event, Finished))
    assert finished.cause is EarlyEndCause.ALL_TRIED


def test_a_configuration_that_failed_is_not_tried_again(make_task: MakeTask) -> None:
    sweep = live(make_task(space=INTEGER, trials=8, parallel=1))
    assert run(sweep, fails=lambda number: number % 2 == 0) == 6
    assert times_tried(sweep, INTEGER) == [1] * 6
    assert sum(trial.phase is TrialPhase.FAILED for trial in sweep.study.trials.values()) == 3


def test_configurations_of_past_studies_are_not_repeated_either(make_task: MakeTask, make_study: MakeStudy) -> None:
    past = [
        make_study([({"layers": n + 1, "width": 64.0 + n}, 0.1 * n) for n in range(3)], id=f"past-{i}", space=INTEGER)
        for i in range(3)
    ]
    sweep = live(make_task(space=INTEGER, trials=8, parallel=1, priors=tuple(past)))
    assert run(sweep) == 6
    assert times_tried(sweep, INTEGER) == [1] * 6


def test_trials_that_run_side_by_side_differ_and_a_restart_remembers_them(make_task: MakeTask) -> None:
    task = make_task(space=STEPS, trials=None, parallel=4)
    first = live(task)
    assert len([first.take() for _ in range(4)]) == 4
    assert times_tried(first, STEPS) == [1] * 4
    second = live(replace(task, attempt=2))
    assert run(second) == 6
    assert times_tried(second, STEPS) == [1] * 6


def test_trials_that_are_set_aside_count_as_tried(make_task: MakeTask) -> None:
    task = make_task(space=INTEGER, trials=9, parallel=1, epochs=9, early_stopping=StoppingRule(1, 3, freezes=True))
    sweep = live(task)
    run(sweep, most=20)
    assert times_tried(sweep, INTEGER) == [1] * 6


def test_a_study_of_a_version_that_repeated_configurations_goes_on_to_the_others(make_task: MakeTask) -> None:
    task = make_task(space=CATEGORICAL, trials=8, parallel=1)
    sweep = live(task)
    sweep.take()
    repeated = replace(next(read_events(task.study_folder)), trial=1)
    StudyLog(task.study_folder, 1).append(repeated)
    again = live(replace(task, attempt=2))
    run(again)
    assert times_tried(again, CATEGORICAL) == [1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("search", ["model", "grid"])
def test_two_hosts_try_the_whole_space_between_them(make_task: MakeTask, search: str) -> None:
    task = make_task(space=CATEGORICAL, trials=6, parallel=1, hosts=2, search=search)
    hosts = [live(replace(task, host=n, attempt=n + 1)) for n in range(2)]
    for _ in range(6):
        for host in hosts:
            run(host, most=1)
    study = read_study(task.study_folder)
    assert {configuration_key(CATEGORICAL, t.params) for t in study.trials.values()} == {
        (("nesterov", n), ("optimizer", o)) for n in range(2) for o in range(3)
    }
    assert len(study.trials) == 6
    assert all(host.is_over for host in hosts)


def test_a_grid_goes_in_the_order_of_the_job_file_and_goes_on_there_after_a_restart(make_task: MakeTask) -> None:
    task = make_task(space=INTEGER, trials=5, parallel=1, search="grid")
    run(live(task), most=2)
    sweep = live(replace(task, attempt=2))
    run(sweep)
    tried = [(t.params["layers"], t.params["width"]) for _, t in sorted(sweep.study.trials.items())]
    assert tried == [(1, 64), (1, 128), (2, 64), (2, 128), (3, 64)]
    assert {t.source for t in sweep.study.trials.values()} == {"grid"}
