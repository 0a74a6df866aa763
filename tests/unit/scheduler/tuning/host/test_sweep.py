"""The sweep as its host runs it, without Ray: what is handed out, recorded and decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.tuning.host.sweep import LiveSweep, TrialExit
from spotwise.scheduler.tuning.study.events import StudyLog
from spotwise.scheduler.tuning.study.proposal import Proposal, Thaw
from spotwise.scheduler.tuning.study.study_state import Study, TrialPhase, TrialView, read_study
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask
from spotwise.scheduler.tuning.study.trial_worth import MachinePrice, NextTrialWorth, StopRule

MakeTask = Callable[..., SweepTask]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counting:
    """Proposes the trial's number as its learning rate."""

    def propose(self, study: Study) -> Proposal:
        number = len(study.trials)
        return Proposal(number, {"lr": number}, "sampler")

    def expected(self, study: Study) -> NextTrialWorth | None:
        return NextTrialWorth(gain=1.0 / max(1, len(study.trials)), cost=1.0)


def live(task: SweepTask, killed: list[int] | None = None) -> LiveSweep:
    log, study = StudyLog(task.study_folder, task.attempt), read_study(task.study_folder)
    kill = (killed if killed is not None else []).append
    return LiveSweep(task, log, study, Counting(), now=ManualClock(NOW).now, say=lambda _: None, kill=kill, leave=kill)


def run_trial(sweep: LiveSweep, values: list[float], code: int = 0) -> int:
    trial = sweep.take()
    assert trial is not None
    sweep.started(trial.number, NOW)
    for epoch, value in enumerate(values, start=1):
        sweep.reported(trial.number, epoch, value, NOW)
    sweep.exited(trial.number, TrialExit(code, NOW, "Traceback\nValueError: no"))
    return trial.number


def test_hands_out_as_many_as_may_run_at_once_and_no_more_than_asked_for(make_task: MakeTask) -> None:
    sweep = live(make_task(parallel=2, trials=3))
    assert [t.number for t in (sweep.take(), sweep.take()) if t] == [0, 1]
    assert sweep.take() is None
    sweep.started(0, NOW)
    sweep.reported(0, 1, 0.5, NOW)
    sweep.exited(0, TrialExit(0, NOW))
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
    assert sweep.broken is None
    assert sweep.take() is not None


def test_exit_without_the_metric_is_a_failure_that_says_what_was_reported(make_task: MakeTask) -> None:
    sweep = live(make_task())
    sweep.take()
    sweep.started(0, NOW)
    sweep.exited(0, TrialExit(0, NOW, seen_metrics=("loss",)))
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
        outcomes.append(sweep.exited(0, TrialExit(137, NOW)))
    assert outcomes == [True, True, True, True, True, False]
    assert sweep.study.trials[0].phase is TrialPhase.FAILED


def test_first_trials_failing_without_an_epoch_break_the_sweep(make_task: MakeTask, tmp_path: Path) -> None:
    sweep = live(make_task(trials=8))
    for _ in range(3):
        assert sweep.broken is None
        run_trial(sweep, [], code=127)
    assert sweep.broken is not None
    assert "the first 3 trials all failed before their first epoch" in sweep.broken.explanation
    assert sweep.take() is None
    assert live(make_task(trials=8, attempt=2)).broken == sweep.broken


@pytest.mark.parametrize(
    ("goal", "by_best_epoch", "value"), [("maximize", False, 0.6), ("maximize", True, 0.9), ("minimize", True, 0.3)]
)
def test_a_trials_value_is_that_of_its_last_epoch_or_of_its_best_one_as_asked(
    make_task: MakeTask, goal: str, by_best_epoch: bool, value: float
) -> None:
    sweep = live(make_task(goal=goal, by_best_epoch=by_best_epoch))
    number = run_trial(sweep, [0.3, 0.9, 0.5, 0.6])
    trial = sweep.study.trials[number]
    assert (trial.phase, trial.value, trial.epoch) == (TrialPhase.COMPLETED, value, 4)


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


class Preferring:
    """Sets trials aside after each rung but the favourite, and begins new ones while it may."""

    def __init__(self, favourite: int) -> None:
        self.favourite, self.free = favourite, [set[int]()]

    def is_due(self, trial: TrialView) -> bool:
        return trial.epoch in (1, 2)

    def choose(
        self, study: Study, free: Collection[int], *, may_begin: bool, running: int | None = None
    ) -> Thaw | Proposal | None:
        self.free.append(set(free))
        if running == self.favourite:
            return Thaw(running)
        if may_begin:
            return Proposal(len(study.trials), {"lr": len(study.trials)}, "sampler")
        return Thaw(self.favourite) if self.favourite in free else None


def freezing_sweep(task: SweepTask, freeze_thaw: Preferring, left: list[int] | None = None) -> LiveSweep:
    log, study = StudyLog(task.study_folder, task.attempt), read_study(task.study_folder)
    return LiveSweep(
        task,
        log,
        study,
        Counting(),
        now=ManualClock(NOW).now,
        say=lambda _: None,
        kill=lambda _: None,
        leave=([] if left is None else left).append,
        freeze_thaw=freeze_thaw,
    )


def begin(sweep: LiveSweep, epochs: int) -> int:
    trial = sweep.take()
    assert trial is not None
    sweep.started(trial.number, NOW)
    for epoch in range(trial.epoch + 1, trial.epoch + 1 + epochs):
        sweep.reported(trial.number, epoch, 0.5, NOW)
    return trial.number


def test_a_trial_that_others_outbid_saves_leaves_and_may_go_on_later(make_task: MakeTask) -> None:
    left: list[int] = []
    rule = StoppingRule(1, 2, freezes=True)
    freeze_thaw = Preferring(0)
    sweep = freezing_sweep(make_task(parallel=1, trials=2, early_stopping=rule, epochs=4), freeze_thaw, left)
    sweep.take()
    sweep.started(0, NOW)
    assert not sweep.reported(0, 1, 0.5, NOW).stop
    assert left == [], "the favourite goes on"
    freeze_thaw.favourite = 7
    assert not sweep.reported(0, 2, 0.6, NOW).stop, "it is asked to leave, and watched until it has"
    assert left == [0]
    sweep.reported(0, 3, 0.7, NOW)  # what it still did before it left
    assert not sweep.exited(0, TrialExit(75, NOW))
    trial = sweep.study.trials[0]
    assert (trial.phase, trial.epoch) == (TrialPhase.FROZEN, 3)
    assert "a new configuration promises more" in trial.reason

    assert begin(sweep, 1) == 1
    assert left == [0, 1]
    sweep.exited(1, TrialExit(143, NOW))
    assert sweep.take() is None
    assert sweep.is_over
    freeze_thaw.favourite = 0
    assert not sweep.is_over
    assert begin(sweep, 1) == 0
    sweep.exited(0, TrialExit(0, NOW))
    sweep.finish()
    assert [t.phase for t in read_study(make_task().study_folder).trials.values()] == [
        TrialPhase.COMPLETED,
        TrialPhase.PRUNED,
    ]
    assert len(sweep.study.trials[0].holds) == 2


def test_a_trial_that_was_set_aside_is_given_one_place_even_before_its_process_has_started(make_task: MakeTask) -> None:
    """Two processes must never write one checkpoint."""
    rule = StoppingRule(1, 2, freezes=True)
    freeze_thaw = Preferring(9)
    sweep = freezing_sweep(make_task(parallel=2, trials=1, early_stopping=rule, epochs=4), freeze_thaw)
    begin(sweep, 1)
    sweep.exited(0, TrialExit(75, NOW))
    freeze_thaw.favourite = 0
    taken = sweep.take()
    assert taken is not None
    assert taken.number == 0
    assert sweep.take() is None
    assert not sweep.is_over


def test_a_host_that_starts_again_knows_what_was_set_aside_and_what_was_interrupted(make_task: MakeTask) -> None:
    rule = StoppingRule(1, 2, freezes=True)
    task = make_task(parallel=2, trials=2, early_stopping=rule, epochs=4)
    first = freezing_sweep(task, Preferring(9))
    begin(first, 1)
    first.exited(0, TrialExit(75, NOW))
    first.take()
    first.started(1, NOW)
    first.close()
    first.pause(1, NOW, "preempted")

    again = freezing_sweep(replace(task, attempt=2), Preferring(9))
    taken = again.take()
    assert taken is not None
    assert taken.number == 1, "it was interrupted, and goes on without being asked for"
    assert again.take() is None
    assert again.study.trials[0].phase is TrialPhase.FROZEN


def test_a_program_that_ends_as_it_is_asked_to_leave_is_complete(make_task: MakeTask) -> None:
    rule = StoppingRule(1, 2, freezes=True)
    sweep = freezing_sweep(make_task(parallel=1, trials=1, early_stopping=rule, epochs=2), Preferring(9))
    begin(sweep, 2)
    sweep.exited(0, TrialExit(0, NOW))
    assert sweep.study.trials[0].phase is TrialPhase.COMPLETED
    assert sweep.is_over


@pytest.mark.parametrize(("trials", "begun", "early"), [(40, 11, True), (11, 11, False), (8, 8, False)])
def test_it_ends_before_its_last_trial_where_more_money_is_not_worth_it(
    make_task: MakeTask, trials: int, begun: int, early: bool
) -> None:
    """Each trial takes an hour of half a machine at 3 USD, and the next one gains 1 / trials: 0.067 a USD after ten."""
    task = make_task(
        parallel=2, trials=trials, stop_when=StopRule(gain_below=0.1, per_usd=1.5), price=MachinePrice(3.0, 3600.0)
    )
    log, study, clock = StudyLog(task.study_folder, 1), Study(), ManualClock(NOW)
    sweep = LiveSweep(
        task, log, study, Counting(), now=clock.now, say=lambda _: None, kill=lambda _: None, leave=lambda _: None
    )
    while (trial := sweep.take()) is not None:
        sweep.started(trial.number, clock.now())
        clock.sleep(3600)
        sweep.reported(trial.number, 1, 0.5, clock.now())
        sweep.exited(trial.number, TrialExit(0, clock.now()))
    assert len(sweep.study.trials) == begun, "1 / 10 is worth 1.50 USD, 1 / 11 is not"
    assert sweep.is_over
    sweep.finish()
    reason = read_study(task.study_folder).end_reason
    assert ("another 1.5 USD is expected to improve the best by 0.091 at most" in reason) is early
    assert bool(reason) is early
