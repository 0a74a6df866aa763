"""A host that starts ends and records what the one before it would have, had it not been killed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from spotwise.scheduler.tuning.host.recovery import recover
from spotwise.scheduler.tuning.study.events import Asked, EndState, Reported, Started, StudyEvent, StudyLog, TrialEnded
from spotwise.scheduler.tuning.study.study_state import TrialPhase, TrialView, read_study
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

MakeTask = Callable[..., SweepTask]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = StoppingRule(grace_epochs=1, reduction_factor=3)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def begun(number: int) -> list[StudyEvent]:
    return [Asked(NOW, 1, number, {"lr": 0.1}, "sampler"), Started(NOW, 1, number, Fraction(1, 4))]


def whole(number: int, value: float) -> list[StudyEvent]:
    return [
        *begun(number),
        Reported(NOW, 1, number, 1, value),
        TrialEnded(NOW, 1, number, EndState.COMPLETED, value, 1, ""),
    ]


def write_progress(task: SweepTask, number: int, *lines: tuple[str, float, int, float | None]) -> None:
    """Lines of (event, minutes, epoch, accuracy)."""
    folder = task.trial_folder(number).path
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "progress.jsonl").open("w") as file:
        for event, minutes, epoch, value in lines:
            metrics = {} if value is None else {"accuracy": value if math.isfinite(value) else str(value)}
            common = {"attempt": 1, "host": "h", "samples_per_second": None, "checkpoint": None}
            line = {"event": event, "time": at(minutes).isoformat(), "epoch": epoch, "step": epoch, "metrics": metrics}
            file.write(json.dumps(line | common) + "\n")


def recovered(task: SweepTask, events: list[StudyEvent]) -> dict[int, TrialView]:
    old = StudyLog(task.study_folder, 1)
    for event in events:
        old.append(event)
    study = recover(task, StudyLog(task.study_folder, task.attempt))
    assert read_study(task.study_folder) == study  # on disk
    return study.trials


def test_rung_reached_while_the_host_was_closing_is_judged(make_task: MakeTask) -> None:
    task = make_task(attempt=2, early_stopping=RULE, epochs=9)
    write_progress(task, 2, ("progress", 1, 1, 0.1), ("progress", 2, 2, 0.95))
    trials = recovered(task, [*whole(0, 0.9), *whole(1, 0.8), *begun(2)])
    assert (trials[2].phase, trials[2].curve) == (TrialPhase.PRUNED, ((1, 0.1),))
    assert trials[2].reason == "place 3 of 3 at epoch 1: not among the best 1/3"


def test_rungs_missed_by_several_trials_are_judged_in_the_order_of_time(make_task: MakeTask) -> None:
    """By the order of their numbers trial 3 would be judged, as the third, and trial 2 would not."""
    task = make_task(attempt=2, early_stopping=RULE, epochs=9)
    write_progress(task, 1, ("progress", 1, 1, 0.8))
    write_progress(task, 2, ("progress", 3, 1, 0.1))
    write_progress(task, 3, ("progress", 2, 1, 0.2))
    trials = recovered(task, [*whole(0, 0.9), *begun(1), *begun(2), *begun(3)])
    assert trials[3].phase is TrialPhase.PRUNED
    assert trials[3].reason.startswith("place 3 of 3")
    assert trials[2].reason.startswith("place 4 of 4")


@pytest.mark.parametrize(("value", "reason"), [(0.1, "place 3 of 3"), (None, "accuracy is not a finite number")])
def test_trial_that_was_to_be_stopped_when_the_host_was_killed_is(
    make_task: MakeTask, value: float | None, reason: str
) -> None:
    task = make_task(attempt=2, early_stopping=RULE, epochs=9)
    write_progress(task, 2, ("progress", 1, 1, 0.1), ("progress", 2, 2, 0.95))
    trials = recovered(task, [*whole(0, 0.9), *whole(1, 0.8), *begun(2), Reported(at(1), 1, 2, 1, value)])
    assert trials[2].phase is TrialPhase.PRUNED
    assert trials[2].reason.startswith(reason)
    assert list(trials[2].reports) == [1]


def test_trial_that_was_let_go_on_is_not_judged_by_what_came_later(make_task: MakeTask) -> None:
    task = make_task(attempt=2, early_stopping=RULE, epochs=9)
    first = [*begun(2), Reported(NOW, 1, 2, 1, 0.1)]
    assert recovered(task, [*first, *whole(0, 0.9), *whole(1, 0.8)])[2].phase is TrialPhase.RUNNING


def test_epoch_repeated_after_a_resume_is_not_judged_again(make_task: MakeTask) -> None:
    task = make_task(attempt=2, early_stopping=RULE, epochs=9)
    epoch = Reported(NOW, 1, 2, 1, 0.1)
    events = [*begun(2), epoch, *whole(0, 0.9), *whole(1, 0.8), epoch]
    assert recovered(task, events)[2].phase is TrialPhase.RUNNING


@pytest.mark.parametrize(
    ("last", "phase", "reason"),
    [
        (0.9, TrialPhase.COMPLETED, "finished as its host was killed"),
        (float("nan"), TrialPhase.FAILED, "accuracy was not a finite number at the end"),
    ],
)
def test_trial_that_finished_unseen_ends_as_if_seen(
    make_task: MakeTask, last: float, phase: TrialPhase, reason: str
) -> None:
    task = make_task(attempt=2)
    write_progress(task, 0, ("progress", 1, 1, 0.5), ("progress", 2, 2, last), ("finished", 3, 2, None))
    trial = recovered(task, begun(0))[0]
    assert (trial.phase, trial.reason) == (phase, reason)


def test_trial_that_finished_unseen_without_the_metric_has_failed(make_task: MakeTask) -> None:
    task = make_task(attempt=2, metric="f1")
    write_progress(task, 0, ("progress", 1, 1, 0.5), ("finished", 3, 1, None))
    trial = recovered(task, begun(0))[0]
    assert trial.phase is TrialPhase.FAILED
    assert "ended without f1: it reported accuracy" in trial.reason
