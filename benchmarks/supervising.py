"""What it costs to watch over runs: CPU and memory of one supervisor with the engine skypilot, and calls to SkyPilot.

``python benchmarks/supervising.py [--runs 1,50,500] [--seconds 60]``. The supervisor, its store, the engine and the
files of every attempt are the real ones; SkyPilot and the machines are played, since 500 of them do not fit here: every
run's agent gives its sign of life every two seconds and reports an epoch every ten. Counted are only the threads of the
supervisor. Each row is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from spotwise.checkpoints import ProgressEvent, ProgressRecord, ProgressWriter
from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.core.run import Run, RunKind, RunState
from spotwise.scheduler.engines.skypilot.engine import SkyPilotEngine
from spotwise.scheduler.engines.skypilot.offers import OfferBook
from spotwise.scheduler.engines.skypilot.sky import Cluster, ClusterState, Failure, RequestState
from spotwise.scheduler.execution.supervisor import Supervisor
from spotwise.scheduler.jobfile.settings import Settings, SkyPilotSettings, SkyPool
from spotwise.scheduler.node_agent.events import NodeEvent, NodeEventName, append_event
from spotwise.scheduler.store import Store

JOB = """name: job
resources: {accelerators: V100:1}
checkpoint: {every: 1 epochs}
work: {epochs: 1000, hours: 10, reference: V100}
run: python train.py
"""
POOL = {"infra": "slurm/aws/spot", "market": "spot", "price_usd_per_hour": "0.92", "accelerators": "V100:1"}


@dataclass
class PlayedSky:
    """A SkyPilot where every launch succeeds at once and nothing ever happens. Counts what it is asked."""

    machines: Machines
    calls: Counter[str] = field(default_factory=Counter)
    books: dict[str, Cluster] = field(default_factory=dict)

    def launch(self, cluster: str, task: Mapping[str, Any], autostop_minutes: int) -> str:
        self.calls["launch"] += 1
        self.books[cluster] = Cluster(cluster, ClusterState.UP, datetime.now(UTC))
        self.machines.start(task["envs"])
        return cluster

    def launches_of(self, cluster: str) -> list[str]:
        self.calls["requests"] += 1
        return []

    def requests(self, ids: Sequence[str]) -> dict[str, RequestState]:
        self.calls["requests"] += 1
        return dict.fromkeys(ids, RequestState.DONE)

    def failure(self, request_id: str) -> Failure:
        raise AssertionError(f"{request_id} has not failed")

    def cancel(self, request_id: str) -> None:
        self.calls["cancel"] += 1

    def clusters(self) -> dict[str, Cluster]:
        self.calls["status"] += 1
        return dict(self.books)

    def look_closer(self, cluster: str) -> Cluster | None:
        self.calls["status of one"] += 1
        return self.books.get(cluster)

    def is_idle(self, cluster: str) -> bool:
        return False

    def last_lines(self, cluster: str) -> list[str]:
        return []

    def down(self, cluster: str) -> str:
        self.calls["down"] += 1
        self.books.pop(cluster, None)
        return cluster


class Machines:
    """What agents and training programs write, from one thread."""

    def __init__(self) -> None:
        self._envs: list[Mapping[str, str]] = []
        self._lock = threading.Lock()

    def start(self, env: Mapping[str, str]) -> None:
        folder = _attempt_folder(env)
        for name in (NodeEventName.UP, NodeEventName.STARTED):
            append_event(folder / "events.jsonl", NodeEvent(name, datetime.now(UTC), {}))
        with self._lock:
            self._envs.append(env)

    def live(self) -> None:
        for beat in range(1_000_000):
            began_s = time.monotonic()
            with self._lock:
                envs = list(self._envs)
            for env in envs:
                _beat(env, beat)
            time.sleep(max(0.0, 2.0 - (time.monotonic() - began_s)))


def _attempt_folder(env: Mapping[str, str]) -> Path:
    return Path(env["SPOTWISE_RUN_URL"]) / "attempts" / env["SPOTWISE_ATTEMPT_ID"]


def _beat(env: Mapping[str, str], beat: int) -> None:
    draft = _attempt_folder(env) / "node-0.tmp"
    draft.write_text(json.dumps({"rank": 0, "beat": beat}))
    draft.replace(draft.with_suffix(".json"))
    if beat % 5 == 0:
        epoch = beat // 5
        record = ProgressRecord(
            ProgressEvent.PROGRESS, datetime.now(UTC), epoch=epoch, step=epoch, metrics={"loss": 1.0}
        )
        ProgressWriter(f"{env['SPOTWISE_RUN_URL']}/progress.jsonl").write(record)


def measure(runs: int, seconds: float) -> dict[str, float]:
    """One row of the table: figures of a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, skypilot=SkyPilotSettings(pools=[SkyPool.model_validate(POOL)]))
        store, machines = Store.open(settings.store_url), Machines()
        sky, clock = PlayedSky(machines), SystemClock()
        engine = SkyPilotEngine(settings, clock, sky, OfferBook(settings.skypilot, list, home / "catalog.json", clock))
        for number in range(runs):
            _submit(store, home, f"job-{number:04d}")
        supervisor = Supervisor(store, lambda _name: engine, settings, clock)
        threading.Thread(target=machines.live, daemon=True, name="machines").start()
        _tick(supervisor, settings, until=lambda: len(sky.books) == runs and not store.runs(active=True)[0].wait_until)
        _tick_for(supervisor, settings, 10.0)  # past the launches
        return _counted(supervisor, settings, sky, seconds)


def _counted(supervisor: Supervisor, settings: Settings, sky: PlayedSky, seconds: float) -> dict[str, float]:
    sky.calls.clear()
    before, began_s = _cpu_s(), time.monotonic()
    ticks = _tick_for(supervisor, settings, seconds)
    wall_s = time.monotonic() - began_s
    minutes = wall_s / 60
    return {
        "cpu_s_per_minute": (_cpu_s() - before) / minutes,
        "rss_mib": psutil.Process().memory_info().rss / 2**20,
        "tick_s": wall_s / ticks,
        "status_calls_per_minute": sky.calls["status"] / minutes,
        "request_calls_per_minute": sky.calls["requests"] / minutes,
        "other_calls_per_minute": (sum(sky.calls.values()) - sky.calls["status"] - sky.calls["requests"]) / minutes,
    }


def _tick(supervisor: Supervisor, settings: Settings, until: Any) -> None:
    while not until():
        supervisor.tick()
        time.sleep(settings.tick.total_seconds())


def _tick_for(supervisor: Supervisor, settings: Settings, seconds: float) -> int:
    ticks, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        supervisor.tick()
        ticks += 1
        time.sleep(settings.tick.total_seconds())
    return ticks


def _cpu_s() -> float:
    """CPU seconds of this process without the thread that plays the machines."""
    played = {t.native_id for t in threading.enumerate() if t.name == "machines"}
    return sum(t.user_time + t.system_time for t in psutil.Process().threads() if t.id not in played)


def _submit(store: Store, home: Path, run_id: str) -> None:
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    store.add_run(
        Run(
            id=run_id,
            job_name="job",
            kind=RunKind.TRAINING,
            owner="",
            team="",
            project="",
            state=RunState.WAITING,
            job_yaml=JOB,
            workdir=str(home),
            folder=str(folder),
            engine="skypilot",
            submitted_at=datetime.now(UTC),
            storage=str(home / "storage" / run_id),
            budget_usd=Decimal(1000),
        ),
        run_id,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="1,50,500")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args.one, args.seconds)))
        return
    heads = ("CPU s/min", "memory MiB", "a tick, s", "status/min", "requests/min", "else/min")
    print(f"{'runs':>5}" + "".join(f"{head:>13}" for head in heads))
    for runs in map(int, args.runs.split(",")):
        command = [sys.executable, __file__, "--one", str(runs), "--seconds", str(args.seconds)]
        row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{runs:>5}" + "".join(f"{figure:>13.2f}" for figure in row.values()), flush=True)


if __name__ == "__main__":
    main()
