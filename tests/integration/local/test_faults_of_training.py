"""Training processes, machines and zones that go away in every ugly way: the run goes on from its last checkpoint."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from installation import Installation, outage, pool

from spotwise.scheduler.accounting.ledger import Category
from spotwise.scheduler.core.run import AttemptState, RunState

WITH_SESSION = """
import sys, time
from spotwise.checkpoints import Session

class Weights:
    def __init__(self): self.values = []
    def state_dict(self): return {"values": self.values}
    def load_state_dict(self, state): self.values = list(state["values"])

weights = Weights()
session = Session.from_env(weights=weights)
for epoch in session.epochs(int(sys.argv[1])):
    time.sleep(0.2)
    weights.values.append(epoch)
    session.report(loss=1 / (epoch + 1))
assert weights.values == list(range(int(sys.argv[1]))), weights.values
"""


def started_from(here: Installation, run_id: str) -> list[int]:
    """The epoch that each attempt continued from."""
    return [record.epoch for record in here.progress(run_id) if record.event == "started"]


def test_killed_program_continues_from_its_last_checkpoint(here: Installation) -> None:
    """kill -9 of the training process is a crash: it costs what was done since the last checkpoint, and no more."""
    here.market(pool("a"))
    run_id = here.submit(here.job(here.train("--epochs 8")))
    here.wait_for_epoch(run_id, 3)
    here.program(run_id).send_signal(signal.SIGKILL)
    here.wait_for_end(run_id)
    first, second = here.attempts(run_id)
    assert (first.state, first.exit_code) == (AttemptState.FAILED, 137)
    assert "signal 9" in first.end_reason
    assert second.state is AttemptState.COMPLETED
    assert started_from(here, run_id)[1] == first.epochs_kept >= 3
    here.assert_settled(run_id)


def test_killed_machine_is_lost_and_the_run_goes_on(here: Installation) -> None:
    """kill -9 of an attempt's node: nothing of it is left running, and it is billed until it was last seen."""
    here.market(pool("a"), pool("b", spot=0.4))
    run_id = here.submit(here.job(here.train("--epochs 8")))
    here.wait_for_epoch(run_id, 2)
    here.node(run_id).send_signal(signal.SIGKILL)
    here.wait_for_end(run_id)
    first, second = here.attempts(run_id)
    assert first.state is AttemptState.LOST
    assert "went away without a word" in first.end_reason
    assert second.offer.pool.zone == "b", "a pool that just lost a machine was chosen again"
    assert started_from(here, run_id)[1] >= 2
    here.assert_settled(run_id)


def test_program_that_only_crashes_fails_the_run(here: Installation) -> None:
    """Three crashes without progress end the run with exit code 4, and its last words are shown."""
    said = here.cli("submit", here.job("echo loading; echo no such model: resnet; exit 3"), "--watch", code=4)
    assert "no such model: resnet" in said.out
    assert "3 crashes in a row without progress" in said.out
    (run,) = here.runs()
    assert run.state is RunState.FAILED
    assert [a.state for a in here.attempts(run.id)] == [AttemptState.FAILED] * 3
    here.assert_settled(run.id)


def test_ignored_notice_ends_in_a_kill(here: Installation) -> None:
    """A program deaf to SIGTERM is killed after the grace time; what it did after its last checkpoint is lost work."""
    here.market(pool("a", life=1.2), pool("b", spot=0.4), grace_s=0.3)
    run_id = here.submit(here.job(here.train("--epochs 14 --every 3 --stubborn"), checkpoint={"every": "3 epochs"}))
    here.wait_for_end(run_id)
    first, second = here.attempts(run_id)
    assert (first.state, first.exit_code) == (AttemptState.PREEMPTED, 137)
    assert second.state is AttemptState.COMPLETED
    assert started_from(here, run_id)[1] == first.epochs_kept > 0
    assert first.epochs_kept % 3 == 0
    assert here.spent(run_id, Category.LOST_WORK) > 0
    here.assert_settled(run_id)


def truncate(checkpoint: Path) -> None:
    data = checkpoint / "state.json"
    data.write_bytes(data.read_bytes()[:-5])


def falsify(checkpoint: Path) -> None:
    path = checkpoint / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["state.json"]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("damage", [truncate, falsify])
def test_damaged_checkpoint_is_passed_over(here: Installation, damage: Callable[[Path], None]) -> None:
    """A truncated file or a wrong hash: the next attempt resumes from the checkpoint before, and says so."""
    (here.work / "train.py").write_text(WITH_SESSION)
    run_id = here.submit(here.job(here.train("10")))
    here.wait_for_epoch(run_id, 3)
    here.kill_supervisors()  # nobody restarts it while its checkpoint is being damaged
    here.program(run_id).send_signal(signal.SIGKILL)
    here.wait(lambda: here.machine_says(run_id, "ended"), "the end of the first attempt")
    *_, before, newest = sorted((here.home / "runs" / run_id / "checkpoints").glob("step-*/manifest.json"))
    damage(newest.parent)
    here.supervise()
    here.wait_for_end(run_id)
    resumed = [record for record in here.progress(run_id) if record.event == "started"][1]
    assert resumed.checkpoint == before.parent.name
    assert "passed over" in here.log(run_id, 2)
    here.assert_settled(run_id)


def test_zone_that_vanishes_while_a_machine_starts_costs_nothing(here: Installation) -> None:
    """A pool loses its capacity before the machine is up: refused, not billed, and the run goes elsewhere."""
    job = here.job()
    began = time.monotonic()
    here.cli("plan", job)
    pace_s = time.monotonic() - began  # of this machine: the zone must still be there when the run is placed
    hours = max(2.0, 3 * pace_s)  # an hour lasts 2 s
    here.market(pool("a", outage=outage(hours, 1000), provision_hours=1000), pool("b", spot=0.4))
    run_id = here.submit(job)
    here.wait_for_end(run_id)
    first, second = here.attempts(run_id)
    assert (first.offer.pool.zone, first.state) == ("a", AttemptState.REFUSED)
    assert "ran out of capacity" in first.end_reason
    assert (second.offer.pool.zone, second.state) == ("b", AttemptState.COMPLETED)
    assert {charge.attempt_id for charge in here.charges(run_id)} == {second.id}
    here.assert_settled(run_id)


BULKY = """
import os, time
from spotwise.checkpoints import Session

class Weights:
    size = 10
    def state_dict(self): return {"text": "x" * self.size}
    def load_state_dict(self, state): self.size = len(state["text"])

weights = Weights()
session = Session.from_env(weights=weights)
for epoch in session.epochs(8):
    time.sleep(0.1)
    weights.size = 400_000 if 3 <= epoch < 6 else 10 + epoch
    session.report(loss=1.0)
"""


def test_full_disk_costs_checkpoints_but_not_the_run(here: Installation) -> None:
    """Checkpoints that find no room are given up with a warning; no torn one stays; training goes on and completes."""
    (here.work / "train.py").write_text(BULKY)
    run_id = here.submit(here.job(f"ulimit -f 150\n{here.train()}"))  # KiB that a file may have
    here.wait_for_end(run_id)
    assert len(here.attempts(run_id)) == 1
    assert "Training goes on; the last checkpoint is step-000000003" in here.log(run_id)
    saved = [record.epoch for record in here.progress(run_id) if record.event == "checkpoint"]
    assert saved == [1, 2, 3, 7, 8]
    folders = sorted((here.home / "runs" / run_id / "checkpoints").glob("step-*"))
    assert [folder.name[-1] for folder in folders] == ["3", "7", "8"]
    here.assert_settled(run_id)
