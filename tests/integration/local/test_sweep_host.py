"""The sweep host as itself: real Ray, real processes, real signals; the trials are a program without any library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from spotwise.checkpoints.progress import read_progress
from spotwise.scheduler.tuning.host.ray_workdir import RayWorkdir
from spotwise.scheduler.tuning.study.study_state import Study, TrialPhase, read_study
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

pytestmark = pytest.mark.slow

EPOCHS = 8
PATIENCE_S = 240  # Ray takes its time to start where a machine is busy
PROGRAM = """
import json, os, signal, sys, time
from datetime import datetime, timezone

def write(event, epoch, **metrics):
    line = {"event": event, "time": datetime.now(timezone.utc).isoformat(), "epoch": epoch, "metrics": metrics}
    with open(os.environ["SPOTWISE_PROGRESS_URL"], "a") as file:
        file.write(json.dumps(line) + "\\n")

def leave(*_):
    write("stopping", epoch)
    sys.exit(75)

checkpoint = os.environ["SPOTWISE_CHECKPOINT_URL"]
epoch = int(open(checkpoint).read()) if os.path.exists(checkpoint) else 0
signal.signal(signal.SIGTERM, leave)
write("started", epoch)
while epoch < %d:
    time.sleep(0.25)
    epoch += 1
    with open(checkpoint + ".part", "w") as file:
        file.write(str(epoch))
    os.replace(checkpoint + ".part", checkpoint)
    write("progress", epoch, loss=(float(os.environ["HP_X"]) - 1) ** 2 + 1 / epoch)
write("finished", epoch)
"""
# Saves when it is told to leave, and only then; it prints meanwhile, so that a pipe nobody reads any more would end it.
SAVES_WHEN_TOLD = PROGRAM.replace(
    """    with open(checkpoint + ".part", "w") as file:
        file.write(str(epoch))
    os.replace(checkpoint + ".part", checkpoint)
""",
    "",
).replace(
    """    write("stopping", epoch)
""",
    """    print("saving", flush=True)
    time.sleep(0.3)
    with open(checkpoint, "w") as file:
        file.write(str(epoch))
    print("saved", flush=True)
    write("stopping", epoch)
""",
)


def write_task(folder: Path, attempt: int, command: str, **changes: object) -> Path:
    task = SweepTask(
        run_id="host-test",
        attempt=attempt,
        folder=str(folder),
        command=command,
        workdir=str(folder),
        metric="loss",
        goal="minimize",
        space={"x": {"type": "float", "low": 0, "high": 10}},
        parallel=2,
        epochs=EPOCHS,
        seed=0,
        **({"trials": 4} | changes),
    )
    path = folder / "sweep.json"
    path.write_text(task.to_json())
    return path


def start_host(task: Path, **environ: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "spotwise.scheduler.tuning.host", str(task)]
    env = {**os.environ, **{name: str(value) for name, value in environ.items()}}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def wait_for(condition: Callable[[], bool], host: subprocess.Popen[str]) -> None:
    """Until the condition holds; fails with the host's output if it ends before, or when patience does."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        if condition():
            return
        assert host.poll() is None, host.communicate()[0]
        time.sleep(0.1)
    host.kill()
    pytest.fail(f"waited {PATIENCE_S} s in vain; the host says:\n{host.communicate()[0]}")


def epochs_seen(study: Study, attempt: int) -> int:
    return sum(len(trial.reports) for trial in study.trials.values() if attempt in trial.attempts)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Training processes of this test's sweep that still run."""
    program = str(folder / "train.py")
    return [p for p in psutil.process_iter(["cmdline"]) if program in (p.info["cmdline"] or []) and p.is_running()]


def test_sweep_outlives_a_preemption_and_a_killed_driver(tmp_path: Path) -> None:
    """A notice, then kill -9 of Ray's driver: every trial completes, and none repeats an epoch it had saved."""
    (tmp_path / "train.py").write_text(PROGRAM % EPOCHS)
    command = f"set -e\n{sys.executable} {tmp_path / 'train.py'}\necho trained\n"
    study_folder = tmp_path / "study"

    first = start_host(write_task(tmp_path, 1, command))
    wait_for(lambda: epochs_seen(read_study(study_folder), 1) >= 3, first)
    first.send_signal(signal.SIGTERM)
    output = first.communicate(timeout=PATIENCE_S)[0]
    assert first.returncode == 75, output
    assert processes_of(tmp_path) == []
    after_notice = read_study(study_folder)
    assert {t.phase for t in after_notice.unfinished()} <= {TrialPhase.PAUSED, TrialPhase.ASKED}
    assert all(hold.end is not None for t in after_notice.trials.values() for hold in t.holds)

    second = start_host(write_task(tmp_path, 2, command))
    seen = epochs_seen(after_notice, 1)
    wait_for(lambda: epochs_seen(read_study(study_folder), 2) > seen, second)
    second.kill()
    second.communicate(timeout=PATIENCE_S)

    third = start_host(write_task(tmp_path, 3, command))
    output = third.communicate(timeout=PATIENCE_S)[0]
    assert third.returncode == 0, output

    study = read_study(study_folder)
    assert study.finished_hosts == {0}
    assert [t.phase for t in study.trials.values()] == [TrialPhase.COMPLETED] * 4, output
    assert any(t.attempts == (1, 2, 3) or t.attempts[:2] == (1, 2) for t in study.trials.values())
    for number in study.trials:
        records = read_progress(str(tmp_path / "trials" / f"{number:04d}" / "progress.jsonl"))
        epochs = [r.epoch for r in records if r.event == "progress"]
        assert epochs == sorted(set(epochs)), f"trial {number} repeated epochs: {epochs}"
    assert processes_of(tmp_path) == []
    assert list(tmp_path.rglob("*.pkl")) == []
    assert RayWorkdir(str(tmp_path)).existing() == []


def test_trials_under_a_pipe_are_set_aside_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    """Freezing through Ray, with a preemption between: the best goes to its end, most of the others never do.

    Each saves only when it is told to leave, so an epoch that is seen twice is a save that was lost.
    """
    (tmp_path / "train.py").write_text(SAVES_WHEN_TOLD % EPOCHS)
    command = f"{sys.executable} {tmp_path / 'train.py'} 2>&1 | tee -a {tmp_path}/printed-$SPOTWISE_TRIAL_ID"
    rule = StoppingRule(grace_epochs=1, reduction_factor=2, freezes=True)

    def frozen() -> int:
        return sum(trial.phase is TrialPhase.FROZEN for trial in read_study(tmp_path / "study").trials.values())

    first = start_host(write_task(tmp_path, 1, command, trials=10, early_stopping=rule))
    wait_for(lambda: frozen() >= 2, first)
    first.send_signal(signal.SIGTERM)
    output = first.communicate(timeout=PATIENCE_S)[0]
    assert first.returncode == 75, output
    second = start_host(write_task(tmp_path, 2, command, trials=10, early_stopping=rule))
    output += second.communicate(timeout=PATIENCE_S)[0]
    assert second.returncode == 0, output

    study = read_study(tmp_path / "study")
    assert len(study.trials) == 10
    best = min(study.trials.values(), key=lambda trial: abs(trial.params["x"] - 1.0))
    assert best.phase is TrialPhase.COMPLETED, output
    assert {trial.phase for trial in study.trials.values()} == {TrialPhase.COMPLETED, TrialPhase.PRUNED}, output
    assert sum(len(trial.reports) for trial in study.trials.values()) < 0.7 * 10 * EPOCHS, output
    assert any(trial.phase is TrialPhase.COMPLETED and "set aside" in output for trial in study.trials.values())
    assert sum(path.read_text().count("saved") for path in tmp_path.glob("printed-*")) >= 2, output
    for number in study.trials:
        records = read_progress(str(tmp_path / "trials" / f"{number:04d}" / "progress.jsonl"))
        epochs = [r.epoch for r in records if r.event == "progress"]
        assert epochs == sorted(set(epochs)), f"trial {number} repeated epochs: {epochs}"
    assert processes_of(tmp_path) == []


def test_two_hosts_share_a_study_and_one_is_killed_in_the_middle(tmp_path: Path) -> None:
    """Each trial is one host's, so a host that is killed costs nobody else anything, and no trial starts over."""
    (tmp_path / "train.py").write_text(PROGRAM % EPOCHS)
    task = write_task(tmp_path, 1, f"{sys.executable} {tmp_path / 'train.py'}")
    study_folder = tmp_path / "study"
    hosts = [start_host(task, SPOTWISE_ATTEMPT=i + 1, SPOTWISE_HOST=i, SPOTWISE_HOSTS=2) for i in (0, 1)]
    wait_for(lambda: epochs_seen(read_study(study_folder), 1) >= 2, hosts[0])
    hosts[0].kill()
    hosts[0].communicate(timeout=PATIENCE_S)
    again = start_host(task, SPOTWISE_ATTEMPT=3, SPOTWISE_HOST=0, SPOTWISE_HOSTS=2)
    for host in (hosts[1], again):
        output = host.communicate(timeout=PATIENCE_S)[0]
        assert host.returncode == 0, output

    study = read_study(study_folder)
    assert study.finished_hosts == {0, 1}
    assert sorted(study.trials) == [0, 1, 2, 3]
    assert {t.phase for t in study.trials.values()} == {TrialPhase.COMPLETED}
    assert {number: trial.host for number, trial in study.trials.items()} == {0: 0, 1: 1, 2: 0, 3: 1}
    assert {a for n in (1, 3) for a in study.trials[n].attempts} == {2}, "the other host was left alone"
    for number in study.trials:
        records = read_progress(str(tmp_path / "trials" / f"{number:04d}" / "progress.jsonl"))
        epochs = [r.epoch for r in records if r.event == "progress"]
        assert len(epochs) <= EPOCHS + 1, f"trial {number} started over: {epochs}"
    assert processes_of(tmp_path) == []


def test_broken_command_ends_the_sweep_with_its_last_lines(tmp_path: Path) -> None:
    """Three trials that fail before their first epoch are enough: exit code 1, and the log says what they said."""
    host = start_host(write_task(tmp_path, 1, "echo no such model: resnet; exit 3", early_stopping=StoppingRule(1, 3)))
    output = host.communicate(timeout=PATIENCE_S)[0]
    assert host.returncode == 1, output
    assert "exit code 3" in output
    assert "no such model: resnet" in output.splitlines()[-1]
    phases = [t.phase for t in read_study(tmp_path / "study").trials.values()]
    assert phases[:3] == [TrialPhase.FAILED] * 3
    assert TrialPhase.COMPLETED not in phases
