from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from spotwise.scheduler.node_agent.processes import is_alive
from spotwise.scheduler.tuning.host.process_id import ProcessId, noted_processes
from spotwise.scheduler.tuning.host.recovery import recover
from spotwise.scheduler.tuning.host.trial_process import TrialCommand, TrialProcess, log_tail, trial_environment
from spotwise.scheduler.tuning.study.events import Asked, Started, StudyLog
from spotwise.scheduler.tuning.study.study_state import TrialPhase
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

MakeTask = Callable[..., SweepTask]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


# Takes its time to save when told, and prints meanwhile: a pipe that nobody reads any more would end it before.
SAVES = """
import pathlib, signal, sys, time
def save(*_):
    print("saving", flush=True)
    time.sleep(0.3)
    print("saved", flush=True)
    pathlib.Path("saved").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
pathlib.Path("ready").touch()
time.sleep(60)
"""


# Passes lines on, and would end at once if it were told to.
PRETTY = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for line in sys.stdin:
    print(line, end="", flush=True)
"""


def identity(command: TrialCommand) -> ProcessId:
    return ProcessId.of(psutil.Process(command._process.pid))


def started_by(command: TrialCommand) -> list[psutil.Process]:
    return identity(command).tree()


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


def noted(task: SweepTask) -> TrialProcess:
    """The first trial's process as its host sees it."""
    return TrialProcess(task.trial_folder(0))


@pytest.mark.parametrize(
    "script",
    [
        "{program}",
        "{program}\ntouch next",
        "{program} 2>&1 | tee copy\ntouch next",
        "exec > >(tee copy) 2>&1\n{program}\ntouch next",
        "bash -c '{program} | cat | tee copy; touch next'\ntouch next",
        "{program} 2>&1 | grep --line-buffered sav\ntouch next",
        "{program} 2>&1 | while read line; do echo $line; done | tee copy\ntouch next",
        "{program} &\nwait\ntouch next",
        "({program} 2>&1 | tee copy) &\nwait\ntouch next",
        "tail -f /etc/hostname | {program} | tee copy\ntouch next",
        "tail -f /etc/hostname | bash -c '{program}; touch next'\ntouch next",
        "echo save.py | xargs {python}\ntouch next",
        "{program} 2>&1 | {python} pretty.py | tee copy\ntouch next",
    ],
    ids=[
        "alone",
        "in a script",
        "through a pipe",
        "into a process substitution",
        "in a shell in a shell",
        "through grep",
        "through a loop of a shell",
        "in the background",
        "a pipe in the background",
        "fed by a pipe",
        "in a shell that is fed",
        "by xargs",
        "through a filter that ends when it is told",
    ],
)
def test_a_program_keeps_its_last_save_however_its_shell_runs_it(
    make_task: MakeTask, tmp_path: Path, script: str
) -> None:
    """It gets time to save although its shell dies at once, it can print meanwhile, and no further line runs."""
    (tmp_path / "save.py").write_text(SAVES)
    (tmp_path / "pretty.py").write_text(PRETTY)
    task = make_task(command=script.format(program=f"{sys.executable} save.py", python=sys.executable))
    command = TrialCommand(task, 0, {})
    wait_until((tmp_path / "ready").exists)
    noted(task).ask_to_leave()
    wait_until(lambda: command.exit_code() is not None)  # which ends what is left, as the worker does
    command.kill()
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()
    copy = tmp_path / ("copy" if "tee" in script else "trials/0000/log.txt")
    assert copy.read_text().split() == ["saving", "saved"]


def test_the_host_waits_for_a_save_and_ends_what_is_left_then(make_task: MakeTask, tmp_path: Path) -> None:
    """Also where no worker watches the trial any more."""
    (tmp_path / "save.py").write_text(SAVES)
    child = f"{sys.executable} -c \"import subprocess; subprocess.Popen(['sleep', '61'])\""
    task = make_task(command=f"{child}\n{sys.executable} save.py 2>&1 | tee copy")
    command = TrialCommand(task, 0, {})
    wait_until((tmp_path / "ready").exists)
    noted(task).ask_to_leave()
    assert not noted(task).has_left()
    wait_until(noted(task).has_left)
    assert (tmp_path / "saved").exists()
    assert started_by(command) == []
    assert not task.trial_folder(0).pid.exists()
    command.kill()


def test_a_program_is_told_once(make_task: MakeTask, tmp_path: Path) -> None:
    """A second signal might end the save that the first one began."""
    (tmp_path / "save.py").write_text(SAVES)
    task = make_task(command=f"{sys.executable} save.py")
    command = TrialCommand(task, 0, {})
    wait_until((tmp_path / "ready").exists)
    for _ in range(3):
        noted(task).ask_to_leave()
        time.sleep(0.05)
    wait_until(lambda: command.exit_code() is not None)
    assert command.exit_code() == 75
    assert log_tail(tmp_path / "trials" / "0000" / "log.txt") == "saving\nsaved"


def test_kill_ends_what_the_command_started(make_task: MakeTask, tmp_path: Path) -> None:
    command = TrialCommand(make_task(command="sleep 61 & setsid sleep 62 & touch up; wait"), 0, {})
    wait_until((tmp_path / "up").exists)
    family = started_by(command)
    assert len(family) == 3
    command.kill()
    wait_until(lambda: not any(is_alive(process) for process in family))


def test_process_with_a_recycled_number_is_left_alone(make_task: MakeTask) -> None:
    command = TrialCommand(make_task(command="sleep 60"), 0, {})
    process = identity(command)
    replace(process, create_time=process.create_time - 100).kill()
    assert command.exit_code() is None
    command.kill()


def test_a_clock_that_is_set_while_a_trial_runs_makes_nobody_a_stranger(make_task: MakeTask) -> None:
    """A process' start is counted from the boot, whose time moves when the clock is set."""
    command = TrialCommand(make_task(command="sleep 60"), 0, {})
    process = identity(command)
    assert replace(process, create_time=process.create_time + 1.0).is_alive()
    command.kill()


def test_process_of_another_machine_is_nobody_here(make_task: MakeTask) -> None:
    """Machines may share the run's folder, and a number there says nothing here."""
    command = TrialCommand(make_task(command="exec sleep 60"), 0, {})
    there = replace(identity(command), machine="another")
    assert not there.is_alive()
    assert there.tree() == []
    there.kill()
    assert command.exit_code() is None
    command.kill()


def test_a_process_noted_by_the_version_before_is_found(make_task: MakeTask, tmp_path: Path) -> None:
    command = TrialCommand(make_task(command="exec sleep 60"), 0, {})
    (tmp_path / "old.json").write_text(json.dumps(asdict(identity(command))))
    assert noted_processes(tmp_path / "old.json") == [identity(command)]
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
