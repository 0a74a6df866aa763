"""A small world for supervisor tests: a real store, an engine in memory, and a clock that moves when told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import factories
from fakes import FakeEngine, FakeWorld

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.run import Attempt, Run
from spotwise.scheduler.execution.supervisor import Supervisor
from spotwise.scheduler.jobfile.settings import Settings
from spotwise.scheduler.store import Store

RUN_ID = "digits-aaaaaa"


def job_yaml(**keys: Any) -> str:
    lines = [
        "name: digits",
        "resources: {accelerators: T4:1}",
        "checkpoint: {every: 1 epochs}",
        "work: {epochs: 10, hours: 2}",
        f"run: {keys.pop('run', 'sleep 7200')}",
    ]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in keys.items())]) + "\n"


@dataclass
class SupervisedWorld:
    """Start supervisors, let time pass, look at what became of the run."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(factories.T0))
    machines: FakeWorld = field(default_factory=FakeWorld)
    started: int = 0
    database: str = ""  # URL of an empty one; default: SQLite in the folder

    def __post_init__(self) -> None:
        self.store = Store.open(self.database or f"sqlite:///{self.folder / 'spotwise.db'}")
        self.engine = FakeEngine(self.clock, self.machines)
        self.settings = Settings(home=self.folder, tick=timedelta(seconds=60))

    def submit(self, run_id: str = RUN_ID, text: str = "", **changes: Any) -> Run:
        folder = self.folder / "runs" / run_id
        folder.mkdir(parents=True)
        submitted = factories.run(
            run_id, job_yaml=text or job_yaml(), folder=str(folder), submitted_at=self.clock.now(), **changes
        )
        return self.store.add_run(submitted, run_id)

    def supervisor(self, store: Any = None, owner: str = "") -> Supervisor:
        self.started += 1
        return Supervisor(
            store or self.store,
            lambda _name: self.engine,
            self.settings,
            self.clock,
            owner or f"elsewhere {self.started} 0",  # another host: only expiry frees its leases
        )

    def pass_time(self, supervisor: Supervisor, hours: float, step_s: float = 60) -> None:
        end = self.clock.now() + timedelta(hours=hours)
        while self.clock.now() < end:
            supervisor.tick()
            self.clock.sleep(step_s)

    def run(self, run_id: str = RUN_ID) -> Run:
        return self.store.run(run_id)

    def attempts(self, run_id: str = RUN_ID) -> list[Attempt]:
        return self.store.attempts(run_id)

    def live(self) -> Attempt:
        return self.attempts()[-1]

    def spent(self, run_id: str = RUN_ID) -> Decimal:
        return sum((charge.amount_usd for charge in self.store.charges(run_id)), Decimal(0))

    def progress(self, *records: Any) -> None:
        """Write progress of the run as its training process would."""
        from spotwise.checkpoints import ProgressWriter

        writer = ProgressWriter(str(self.folder / "runs" / RUN_ID / "progress.jsonl"))
        for record in records:
            writer.write(record)
