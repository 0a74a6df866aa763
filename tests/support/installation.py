"""One installation of spotwise in a folder of its own, driven as people drive it: by commands and by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from machines import end_everything_under, processes_under

from spotwise.checkpoints import ProgressRecord, read_progress
from spotwise.scheduler.accounting.ledger import Category, Charge, cost_of
from spotwise.scheduler.core.run import Attempt, AttemptState, Run, RunState
from spotwise.scheduler.node_agent.events import NodeEvent, read_events
from spotwise.scheduler.store import Store

PATIENCE_S = 60.0
EXACTLY = 1e6  # a Weibull of this shape is its scale, always
FOR_EVER = 1e6  # hours
PYTHON = sys.executable

# A training program as anybody would write it without our library: a number in a file is its checkpoint.
TRAIN = """
import argparse, json, os, signal, sys, time
from datetime import datetime, timezone

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--epoch-s", type=float, default=0.2)
parser.add_argument("--every", type=int, default=1, help="epochs between checkpoints")
parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM")
args = parser.parse_args()

def write(event, **more):
    line = {"event": event, "time": datetime.now(timezone.utc).isoformat(), "epoch": epoch, "step": epoch, **more}
    line["attempt"] = int(os.environ["SPOTWISE_ATTEMPT"])
    with open(os.environ["SPOTWISE_PROGRESS_URL"], "a") as file:
        file.write(json.dumps(line) + "\\n")

def save():
    with open(checkpoint + ".part", "w") as file:
        file.write(str(epoch))
    os.replace(checkpoint + ".part", checkpoint)
    write("checkpoint", checkpoint="step-%09d" % epoch)

def leave(*_):
    save()
    write("stopping")
    sys.exit(75)

folder = os.environ["SPOTWISE_CHECKPOINT_URL"]
os.makedirs(folder, exist_ok=True)
checkpoint = os.path.join(folder, "epoch")
epoch = int(open(checkpoint).read()) if os.path.exists(checkpoint) else 0
signal.signal(signal.SIGTERM, signal.SIG_IGN if args.stubborn else leave)
write("started", checkpoint="step-%09d" % epoch if epoch else None)
while epoch < args.epochs:
    time.sleep(args.epoch_s)
    epoch += 1
    write("progress", metrics={"loss": (float(os.environ.get("HP_X", 0)) - 1) ** 2 + 1 / epoch})
    if epoch % args.every == 0 or epoch == args.epochs:
        save()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
write("finished")
print("trained to the end")
"""


def pool(zone: str, *, spot: float = 0.2, life: float = FOR_EVER, **more: Any) -> dict[str, Any]:
    """A pool whose machines live exactly ``life`` market hours."""
    return {
        "cloud": "aws",
        "region": "us-east-1",
        "zone": zone,
        "instance_type": "g4dn.xlarge",
        "accelerators": "T4:1",
        "vcpus": 4,
        "memory_gib": 16,
        "spot_usd_per_hour": spot,
        "on_demand_usd_per_hour": 1.0,
        "published_hazard_per_hour": 0.01,
        "lifetime": {"shape": EXACTLY, "scale_hours": life},
        **more,
    }


def outage(every_hours: float, length_hours: float) -> dict[str, Any]:
    """Spells without capacity, of exactly these lengths."""
    return {
        "every_hours": {"shape": EXACTLY, "scale_hours": every_hours},
        "length_hours": {"shape": EXACTLY, "scale_hours": length_hours},
    }


@dataclass
class Installation:
    """A home, a settings file, a work folder with a training program, and whatever runs there."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)  # beside this process' own
    umask: int = -1  # of commands; -1: this process' own
    patience_s: float = PATIENCE_S
    database: str = ""  # URL; default: SQLite in the home

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.work = self.folder / "work"
        self.work.mkdir(parents=True)
        (self.work / "train.py").write_text(TRAIN)

    # files

    def settings(self, **keys: Any) -> Path:
        """Write settings that look often; JSON is YAML."""
        overheads = {"provision": "0m", "restore": "6m", "checkpoint": "0m"}
        values = {"tick": "0.1s", "grace": "2s", "cooldown": "1000h", "overheads": overheads, **keys}
        values |= {"store": self.database} if self.database else {}
        path = self.folder / "settings.yaml"
        path.write_text(json.dumps(values))
        self.env["SPOTWISE_SETTINGS"] = str(path)
        return path

    def market(self, *pools: dict[str, Any], **keys: Any) -> None:
        """Put the installation behind an emulated market; 1 hour lasts 2 s, machines come up at once."""
        values = {"name": "test", "seed": 1, "hour_s": 2, "grace_s": 2, "provision_hours": 0.05, **keys}
        (self.folder / "market.yaml").write_text(json.dumps({**values, "pools": list(pools)}))
        self.settings(local={"market": "market.yaml"})

    def job(self, run: str = "", *, name: str = "job", **keys: Any) -> Path:
        """Write a job file; by default 6 epochs of 0.2 s."""
        command = run or self.train()
        values = {"name": name, "workdir": str(self.work), "run": command, "checkpoint": {"every": "1 epochs"}, **keys}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(values))
        return path

    def train(self, arguments: str = "", program: str = "train.py") -> str:
        return f"exec {PYTHON} {program} {arguments}"

    # the command line

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        command = [PYTHON, "-P", "-m", "spotwise.scheduler.cli", *map(str, arguments)]  # -P: as the script spotwise
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "SPOTWISE_HOME": str(self.home), **self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=self.umask,
        )

    def cli(self, *arguments: str | Path, code: int = 0, env: Mapping[str, str] | None = None) -> Said:
        """Run a command to its end; its exit code must be ``code``."""
        return ended(self.start(*arguments, env=env), code)

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.cli(*arguments, "--json").out)

    def submit(self, job: Path, *options: str) -> str:
        """Submit in the background; the run's id."""
        out = self.cli("submit", job, *options).out
        return out.split()[1].rstrip(":") if out.startswith("submitted") else out.split()[0]

    def supervise(self) -> Said:
        """Supervise in the foreground until nothing is left to do."""
        return self.cli("supervise")

    # what is there

    @cached_property
    def store(self) -> Store:
        return Store.open(self.database or f"sqlite:///{self.home / 'spotwise.db'}")

    def run(self, run_id: str) -> Run:
        return self.store.run(run_id)

    def runs(self) -> list[Run]:
        return self.store.runs()

    def attempts(self, run_id: str) -> list[Attempt]:
        return self.store.attempts(run_id)

    def charges(self, run_id: str) -> list[Charge]:
        return self.store.charges(run_id)

    def notes(self, run_id: str, kind: str) -> list[str]:
        return [event.message for event in self.store.events(run_id) if event.kind == kind]

    def progress(self, run_id: str) -> list[ProgressRecord]:
        return read_progress(str(self.home / "runs" / run_id / "progress.jsonl"))

    def machine(self, run_id: str, number: int = 1) -> list[NodeEvent]:
        """What an attempt's node wrote down."""
        return read_events(self.attempt_folder(run_id, number) / "events.jsonl")

    def machine_says(self, run_id: str, name: str, number: int = 1) -> bool:
        return any(event.name == name for event in self.machine(run_id, number))

    def attempt_folder(self, run_id: str, number: int = 1) -> Path:
        return self.home / "runs" / run_id / "attempts" / f"{run_id}-a{number}"

    def log(self, run_id: str, number: int = 1) -> str:
        return (self.attempt_folder(run_id, number) / "log.txt").read_text()

    def supervisors(self) -> list[psutil.Process]:
        return [p for p in psutil.process_iter() if self._supervises(p)]

    def program(self, run_id: str, number: int = 1) -> psutil.Process:
        """The running training process of an attempt."""
        started = next(event for event in self.machine(run_id, number) if event.name == "started")
        return psutil.Process(started.data["pid"])

    def node(self, run_id: str, number: int = 1) -> psutil.Process:
        return psutil.Process(self.machine(run_id, number)[0].data["pid"])

    # what happens

    def kill_supervisors(self) -> int:
        """kill -9 all of them; how many there were."""
        found = self.supervisors()
        for process in found:
            process.send_signal(signal.SIGKILL)
        self.wait(lambda: not self.supervisors(), "the end of the supervisors")
        return len(found)

    def wait(self, happened: Callable[[], object], what: str) -> None:
        """Poll until it happened; in vain, say what is known."""
        give_up = time.monotonic() + self.patience_s
        while not happened():
            assert time.monotonic() < give_up, f"waited {self.patience_s:g} s in vain for {what}\n{self._known()}"
            time.sleep(0.05)

    def wait_for_epoch(self, run_id: str, epoch: int) -> None:
        self.wait(
            lambda: any(r.event == "checkpoint" and r.epoch >= epoch for r in self.progress(run_id)),
            f"epoch {epoch} of {run_id}",
        )

    def wait_for_end(self, run_id: str, state: RunState = RunState.COMPLETED) -> Run:
        self.wait(lambda: self.run(run_id).state.is_final, f"the end of {run_id}")
        found = self.run(run_id)
        assert found.state is state, f"{found.state}: {found.end_reason}\n{self._known()}"
        return found

    def close(self) -> None:
        """Leave no process behind, however the test ended."""
        self.kill_supervisors()
        end_everything_under(self.folder)

    # what must hold

    def assert_settled(self, run_id: str) -> None:
        """The books balance to the last digit, nothing was started twice, and nothing runs any more."""
        attempts, charges = self.attempts(run_id), self.charges(run_id)
        assert len({charge.id for charge in charges}) == len(charges)
        assert {charge.attempt_id for charge in charges} <= {attempt.id for attempt in attempts}
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        for attempt in attempts:
            self._assert_booked(attempt, [c for c in charges if c.attempt_id == attempt.id])
            names = [event.name for event in self.machine(run_id, attempt.number)]
            assert all(names.count(name) <= 1 for name in ("asked", "launched", "started", "ended")), names
        for before, after in pairwise(a for a in attempts if a.state is not AttemptState.REFUSED):
            assert before.ended_at is not None
            assert before.ended_at <= after.launched_at, "two attempts of one run at once"
        left = self.home / "runs" / run_id
        self.wait(lambda: not processes_under(left), f"processes of {run_id} to leave")
        assert not (self.home / "runs" / run_id / "secrets.json").exists()

    def _assert_booked(self, attempt: Attempt, charges: list[Charge]) -> None:
        assert attempt.state.is_final
        assert attempt.ended_at is not None
        total = sum((charge.amount_usd for charge in charges), Decimal(0))
        assert total == cost_of(attempt, attempt.ended_at)
        if attempt.ended_at == attempt.launched_at:
            assert charges == []
            return
        assert charges[0].start == attempt.launched_at
        assert charges[-1].end == attempt.ended_at
        assert all(a.end == b.start for a, b in pairwise(charges)), "a gap or an overlap"
        assert all(charge.start < charge.end for charge in charges)

    def spent(self, run_id: str, category: Category | None = None) -> Decimal:
        charges = [c for c in self.charges(run_id) if category in (None, c.category)]
        return sum((charge.amount_usd for charge in charges), Decimal(0))

    def _supervises(self, process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
            mine = process.environ().get("SPOTWISE_HOME") == str(self.home)
            return mine and "supervise" in words and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            return False

    def _known(self) -> str:
        if not (self.home / "spotwise.db").exists():
            return "no store"
        store = self.store
        events = [f"{e.kind}: {e.message}" for run in store.runs() for e in store.events(run.id)]
        log = self.home / "supervisor.log"
        return "\n".join([*events, log.read_text() if log.exists() else ""])


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def ended(process: subprocess.Popen[str], code: int = 0) -> Said:
    """Wait for a command; its exit code must be ``code``, and it must not end in a traceback."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} did not end\n{out}\n{err}") from None
    assert process.returncode == code, f"exit code {process.returncode}, not {code}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return Said(out, err)
