from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from spotwise.scheduler.tuning.host.processes import ProcessId
from spotwise.scheduler.tuning.host.recovery import recover
from spotwise.scheduler.tuning.host.trial_process import TrialCommand, log_tail, trial_environment
from spotwise.scheduler.tuning.study.events import Asked, Started, StudyLog
from spotwise.scheduler.tuning.study.study_state import TrialPhase
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

MakeTask = Callable[..., SweepTask]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def progress(event: str, epoch: int) -> str:
    metrics = {"accuracy": 0.5} if event == "progress" else {}
    return json.dumps({"event": event, "time": NOW.isoformat(), "epoch": epoch, "metrics": metrics}) + "\n"


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited ten seconds in vain")


def test_environment_carries_the_configuration_for_any_language(make_task: MakeTask) -> None:
    env = trial_environment(make_task(checkpoint_every="2 epochs"), 7, {"lr": 1e-05, "use-bias": True, "kind": "a b"})
    assert env["HP_LR"] == "1e-05"
    assert env["HP_USE_BIAS"] == "true"
    assert env["HP_KIND"] == "a b"
    assert json.loads(env["SPOTWISE_HPARAMS"]) == {"lr": 1e-05, "use-bias": True, "kind": "a b"}
    assert env["SPOTWISE_TRIAL_ID"] == "0007"
    assert env["SPOTWISE_CHECKPOINT_URL"].endswith("trials/0007/checkpoints")
    assert env["SPOTWISE_CHECKPOINT_EVERY"] == "2 epochs"


def test_task_survives_json(make_task: MakeTask) -> None:
    task = make_task(early_stopping=StoppingRule(2, 4), epochs=9, env={"A": "b"})
    assert SweepTask.from_json(task.to_json()) == task


def test_exit_code_and_log_are_the_commands_own(make_task: MakeTask, tmp_path: Path) -> None:
    command = TrialCommand(make_task(command="echo one; echo; echo two $HP_X >&2; exit 7"), 0, {"x": 3})
    wait_until(lambda: command.exit_code() is not None)
    assert command.exit_code() == 7
    assert log_tail(tmp_path / "trials" / "0000" / "log.txt") == "one\ntwo 3"


def test_signal_goes_through_the_shell_to_the_program(make_task: MakeTask, tmp_path: Path) -> None:
    """The program gets time to save although its shell dies at once, and the command's next line does not run."""
    program = tmp_path / "save.py"
    program.write_text(
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n    time.sleep(0.3); pathlib.Path('saved').touch(); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, save); pathlib.Path('ready').touch(); time.sleep(60)\n"
    )
    command = TrialCommand(make_task(command=f"{sys.executable} save.py\ntouch next"), 0, {})
    wait_until((tmp_path / "ready").exists)
    process = ProcessId.load(tmp_path / "trials" / "0000" / "pid.json")
    assert process is not None
    process.ask_to_leave()
    wait_until(lambda: process.living() == [])
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()
    command.kill()


def test_kill_ends_what_the_command_started(make_task: MakeTask, tmp_path: Path) -> None:
    command = TrialCommand(make_task(command="sleep 61 & setsid sleep 62 & touch up; wait"), 0, {})
    wait_until((tmp_path / "up").exists)
    process = ProcessId.load(tmp_path / "trials" / "0000" / "pid.json")
    assert process is not None
    family = process.living()
    assert len(family) == 3
    command.kill()
    wait_until(lambda: not any(p.is_running() and p.status() != "zombie" for p in family))


def test_process_with_a_recycled_number_is_left_alone(make_task: MakeTask, tmp_path: Path) -> None:
    command = TrialCommand(make_task(command="sleep 60"), 0, {})
    process = ProcessId.load(tmp_path / "trials" / "0000" / "pid.json")
    assert process is not None
    ProcessId(process.pid, process.create_time - 100).kill()
    time.sleep(0.2)
    assert command.exit_code() is None
    command.kill()


def test_process_of_another_machine_is_nobody_here(make_task: MakeTask, tmp_path: Path) -> None:
    """Machines may share the run's folder, and a number there says nothing here."""
    command = TrialCommand(make_task(command="exec sleep 60"), 0, {})
    process = ProcessId.load(tmp_path / "trials" / "0000" / "pid.json")
    assert process is not None
    there = replace(process, machine="another")
    assert there.living() == []
    there.kill()
    time.sleep(0.1)
    assert command.exit_code() is None
    command.kill()


def test_recovery_ends_survivors_and_catches_up_with_progress(make_task: MakeTask, tmp_path: Path) -> None:
    """What a killed host's trials did after its last event is known to the next host; what had finished is done."""
    task = make_task(attempt=2)
    survivor = TrialCommand(make_task(command="sleep 60"), 0, {})
    old = StudyLog(task.study_folder, 1)
    for number in (0, 1):
        old.append(Asked(NOW, 1, number, {"lr": 0.1}, "sampler"))
        old.append(Started(NOW, 1, number, Fraction(1, 2)))
    lines = [progress("started", 0), progress("progress", 1), progress("progress", 2), progress("finished", 2)]
    for number, count in ((0, 2), (1, 4)):
        folder = task.trial_folder(number).path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "progress.jsonl").write_text("".join(lines[:count]))

    study = recover(task, StudyLog(task.study_folder, 2))
    wait_until(lambda: survivor.exit_code() is not None)  # a killed process is gone a moment later
    assert survivor.exit_code() == 128 + 9
    assert (study.trials[0].phase, study.trials[0].curve) == (TrialPhase.PAUSED, ((1, 0.5),))
    assert (study.trials[1].phase, study.trials[1].curve) == (TrialPhase.COMPLETED, ((1, 0.5), (2, 0.5)))
