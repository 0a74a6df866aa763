"""The sweep as its host runs it, without Ray: what is handed out, recorded and decided."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from spotwise.scheduler.clock import ManualClock
from spotwise.scheduler.tuning.events import StudyLog
from spotwise.scheduler.tuning.live import Exit, LiveSweep
from spotwise.scheduler.tuning.proposal import Proposal
from spotwise.scheduler.tuning.task import StoppingRule, SweepTask
from spotwise.scheduler.tuning.view import Study, TrialPhase, read_study

MakeTask = Callable[..., SweepTask]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counting:
    """Proposes the trial's number as its learning rate."""

    def propose(self, study: Study) -> Proposal:
        number = len(study.trials)
        return Proposal(number, {"lr": number}, "sampler")


def live(task: SweepTask, killed: list[int] | None = None) -> LiveSweep:
    log, study = StudyLog(task.study_folder, task.attempt), read_study(task.study_folder)
    kill = (killed if killed is not None else []).append
    return LiveSweep(task, log, study, Counting(), now=ManualClock(NOW).now, say=lambda _: None, kill=kill)


def run_trial(sweep: LiveSweep, values: list[float], code: int = 0) -> int:
    trial = sweep.take()
    assert trial is not None
    sweep.started(trial.number, NOW)
    for epoch, value in enumerate(values, start=1):
        sweep.reported(trial.number, epoch, value, NOW)
    sweep.exited(trial.number, Exit(code, NOW, "Traceback\nValueError: no"))
    return trial.number


def test_hands_out_as_many_as_may_run_at_once_and_no_more_than_asked_for(make_task: MakeTask) -> None:
    sweep = live(make_task(parallel=2, trials=3))
    assert [t.number for t in (sweep.take(), sweep.take()) if t] == [0, 1]
    assert sweep.take() is None
    sweep.started(0, NOW)
    sweep.reported(0, 1, 0.5, NOW)
    sweep.exited(0, Exit(0, NOW))
    third = sweep.take()
    assert third is not None
    assert third.number == 2
    assert not sweep.is_over


def test_next_host_continues_unfinished_trials_first(make_task: MakeTask) -> None:
    first = live(make_task(attempt=1))
    for number in (0, 1):
        first.take()
        first.started(number, NOW)
    assert first.close() == (0, 1)
    first.pause(0, NOW, "preempted")  # 1 was killed before its pause was recorded

    second = live(make_task(attempt=2))
    taken = [second.take(), second.take()]
    assert [(t.number, t.params) for t in taken if t] == [(0, {"lr": 0}), (1, {"lr": 1})]


def test_stopped_trial_is_killed_before_its_end_is_recorded(make_task: MakeTask) -> None:
    killed: list[int] = []
    sweep = live(make_task(early_stopping=StoppingRule(1, 3), epochs=9), killed)
    run_trial(sweep, [0.9, 0.9])
    run_trial(sweep, [0.8, 0.8])
    third = sweep.take()
    assert third is not None
    sweep.started(2, NOW)
    assert sweep.reported(2, 1, 0.1, NOW).stop
    assert killed == [2]
    assert sweep.study.trials[2].phase is TrialPhase.PRUNED


def test_epochs_repeated_after_a_resume_are_not_judged_again(make_task: MakeTask) -> None:
    sweep = live(make_task(early_stopping=StoppingRule(1, 3), epochs=9, parallel=4))
    sweep.take()
    sweep.started(0, NOW)
    assert not sweep.reported(0, 1, 0.1, NOW).stop
    run_trial(sweep, [0.9, 0.9])
    run_trial(sweep, [0.8, 0.8])
    assert not sweep.reported(0, 1, 0.1, NOW).stop


def test_metric_that_is_no_number_is_stopped_where_early_stopping_is_on(make_task: MakeTask) -> None:
    sweep = live(make_task(early_stopping=StoppingRule(1, 3)))
    sweep.take()
    sweep.started(0, NOW)
    assert sweep.reported(0, 1, None, NOW).stop


def test_crash_fails_the_trial_with_its_last_lines_and_the_sweep_goes_on(make_task: MakeTask) -> None:
    sweep = live(make_task())
    run_trial(sweep, [0.5], code=1)
    trial = sweep.study.trials[0]
    assert trial.phase is TrialPhase.FAILED
    assert "exit code 1" in trial.reason
    assert "ValueError: no" in trial.reason
    assert sweep.broken == ""
    assert sweep.take() is not None


def test_exit_without_the_metric_is_a_failure_that_says_what_was_reported(make_task: MakeTask) -> None:
    sweep = live(make_task())
    sweep.take()
    sweep.started(0, NOW)
    sweep.exited(0, Exit(0, NOW, seen_metrics=("loss",)))
    assert sweep.study.trials[0].phase is TrialPhase.FAILED
    assert "ended without accuracy: it reported loss" in sweep.study.trials[0].reason


def test_process_killed_from_outside_continues_until_it_gains_nothing(make_task: MakeTask) -> None:
    """Three deaths in a row without a new epoch fail it; an epoch in between starts the count anew."""
    sweep = live(make_task())
    sweep.take()
    outcomes = []
    for epochs in ([1], [], [2], [], [], []):
        sweep.started(0, NOW)
        for epoch in epochs:
            sweep.reported(0, epoch, 0.5, NOW)
        outcomes.append(sweep.exited(0, Exit(137, NOW)))
    assert outcomes == [True, True, True, True, True, False]
    assert sweep.study.trials[0].phase is TrialPhase.FAILED


def test_first_trials_failing_without_an_epoch_break_the_sweep(make_task: MakeTask, tmp_path: Path) -> None:
    sweep = live(make_task(trials=8))
    for _ in range(3):
        assert sweep.broken == ""
        run_trial(sweep, [], code=127)
    assert "the first 3 trials all failed before their first epoch" in sweep.broken
    assert sweep.take() is None
    assert live(make_task(trials=8, attempt=2)).broken == sweep.broken


def test_lost_worker_is_no_failure(make_task: MakeTask) -> None:
    sweep = live(make_task())
    sweep.take()
    sweep.started(0, NOW)
    sweep.reported(0, 1, 0.5, NOW)
    sweep.lost(0)
    assert sweep.study.trials[0].phase is TrialPhase.PAUSED
    again = sweep.take()
    assert again is not None
    assert again.number == 0


def test_program_of_a_lost_worker_is_killed_and_what_it_reported_is_judged(make_task: MakeTask) -> None:
    killed: list[int] = []
    task = make_task(early_stopping=StoppingRule(1, 3), epochs=9)
    sweep = live(task, killed)
    run_trial(sweep, [0.9])
    run_trial(sweep, [0.8])
    for number in (2, 3):
        sweep.take()
        sweep.started(number, NOW)
    unseen(task, 2, 0.1)
    unseen(task, 3, 0.95)
    sweep.lost(2)
    sweep.lost(3)
    assert killed == [2, 3]
    assert [(t.phase, t.curve) for t in (sweep.study.trials[2], sweep.study.trials[3])] == [
        (TrialPhase.PRUNED, ((1, 0.1),)),
        (TrialPhase.PAUSED, ((1, 0.95),)),
    ]
    again = sweep.take()
    assert again is not None
    assert again.number == 3


def unseen(task: SweepTask, number: int, value: float) -> None:
    """The first epoch of a trial, in its progress file alone."""
    line = {"event": "progress", "time": NOW.isoformat(), "attempt": 1, "host": "h", "epoch": 1, "step": 1}
    rest = {"metrics": {"accuracy": value}, "samples_per_second": None, "checkpoint": None}
    task.trial_folder(number).path.mkdir(parents=True)
    task.trial_folder(number).progress.write_text(json.dumps(line | rest) + "\n")
