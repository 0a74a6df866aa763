"""`spotwise nightly` as cron starts it: once a night, one at a time, and the same run after a crash."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from installation import PYTHON, Installation, ended

from spotwise.scheduler.core.run import RunState

PROGRAM = """
import sys, time
from spotwise.checkpoints import Session

class Weights:
    value = 0.0
    def state_dict(self): return {"value": self.value}
    def load_state_dict(self, state): self.value = state["value"]

weights = Weights()
session = Session.from_env(weights=weights)
for epoch in session.epochs(int(sys.argv[1])):
    time.sleep(0.2)
    weights.value = (epoch + 1) / 100
    session.report(accuracy=weights.value)
"""


@pytest.fixture
def due(here: Installation) -> Installation:
    (here.work / "train.py").write_text(PROGRAM)
    return here


def nightly_job(here: Installation, epochs: int = 4) -> Path:
    """Due once a day; the first time at once."""
    return here.job(
        f"exec {PYTHON} train.py {epochs}",
        name="nightly",
        retrain={
            "model": "digits",
            "triggers": {"calendar": {"at": "00:00", "timezone": "UTC"}},
            "gate": {"metric": "accuracy", "goal": "maximize", "min_improvement": 0.001},
        },
    )


def test_promotes_once_a_night(due: Installation) -> None:
    """The first model is promoted; at once again there is nothing to do; by hand, an equal one is kept out."""
    config = nightly_job(due)
    assert "promoted" in due.cli("nightly", config).out
    (first,) = due.runs()
    assert (due.home / "registry" / "digits").is_dir()
    assert "nothing to do" in due.cli("nightly", config, code=5).out
    assert due.runs() == [first]
    assert "kept" in due.cli("nightly", config, "--force").out
    assert len(due.runs()) == 2
    for run in due.runs():
        due.assert_settled(run.id)


def test_two_at_once_make_one_run(due: Installation) -> None:
    config = nightly_job(due)
    both = [due.start("nightly", config) for _ in range(2)]
    codes = sorted(process.wait(60) for process in both)
    assert codes == [0, 5], [process.communicate() for process in both]
    assert len(due.runs()) == 1


def test_killed_in_the_middle_the_same_run_is_continued(due: Installation) -> None:
    """kill -9 of the nightly and of its supervisor: the next call ends the run that was begun, and promotes it."""
    config = nightly_job(due, epochs=8)
    nightly = due.start("nightly", config)
    due.wait(lambda: (due.home / "spotwise.db").exists() and due.runs(), "the run")
    (run,) = due.runs()
    due.wait_for_epoch(run.id, 2)
    nightly.send_signal(signal.SIGKILL)
    nightly.communicate()
    due.kill_supervisors()
    assert "promoted" in due.cli("nightly", config).out
    assert [each.id for each in due.runs()] == [run.id]
    assert len(due.attempts(run.id)) == 1
    due.assert_settled(run.id)


def test_failed_training_keeps_the_champion(due: Installation) -> None:
    config = nightly_job(due)
    due.cli("nightly", config)
    (due.work / "train.py").write_text("raise SystemExit(3)")
    assert "failed" in due.cli("nightly", config, "--force", code=4).out
    failed = due.runs()[-1]
    assert failed.state is RunState.FAILED
    champion = due.cli("nightly", config, code=5)
    assert "nothing to do" in champion.out


def test_crontab_line_runs_with_an_empty_environment(due: Installation) -> None:
    """What --print-cron prints is what cron can run: no PATH, no HOME, another folder."""
    config = nightly_job(due)
    text = due.cli("nightly", config, "--print-cron").out
    line = next(line for line in text.splitlines() if line and not line.startswith("#"))
    command = line.split(maxsplit=5)[5].replace("\\%", "%")
    subprocess.run(["env", "-i", "/bin/sh", "-c", command], cwd="/", check=True, timeout=60)
    assert "promoted" in (due.home / "nightly-nightly.log").read_text()
    (run,) = due.runs()
    due.assert_settled(run.id)


def test_watcher_replaces_a_dead_supervisor(due: Installation) -> None:
    """A nightly whose supervisor dies does not wait for ever: it starts another."""
    nightly = due.start("nightly", nightly_job(due, epochs=8))
    due.wait(lambda: (due.home / "spotwise.db").exists() and due.runs(), "the run")
    (run,) = due.runs()
    due.wait_for_epoch(run.id, 1)
    due.kill_supervisors()
    assert "promoted" in ended(nightly).out
    assert len(due.attempts(run.id)) == 1
    due.assert_settled(run.id)
