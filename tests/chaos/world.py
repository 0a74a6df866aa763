"""The installation that a campaign works on, and what the campaign knows of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from installation import PYTHON, Installation, pool

from spotwise.scheduler.core.run import Run

AT_ONCE = 4  # runs
EPOCHS = 60
CRASHES = 1000  # a campaign kills more than a faulty program would crash
Choice = TypeVar("Choice")


@dataclass
class World:
    """Some runs that train at once on spot machines of an emulated market, preempted without any help."""

    here: Installation
    random: Random
    restart_store: str = ""  # a program that does it; SQLite has none
    submitted: int = 0
    damaged: set[str] = field(default_factory=set)  # runs with a damaged checkpoint: these repeat epochs
    cancelled: set[str] = field(default_factory=set)
    commands: list[subprocess.Popen[str]] = field(default_factory=list)  # started; some may have ended

    def __post_init__(self) -> None:
        lives = {"lifetime": {"shape": 1.2, "scale_hours": 3}}
        pools = [pool("a", **lives), pool("b", spot=0.3, **lives), pool("c", spot=0.5)]
        self.here.market(*pools, seed=self.random.randrange(1000))
        self.here.settings(local={"market": "market.yaml"}, crash_limit=CRASHES, cooldown="0.5h")
        shutil.copy(Path(__file__).with_name("trainee.py"), self.here.work)

    def pick(self, choices: Sequence[Choice]) -> Choice | None:
        return self.random.choice(choices) if choices else None

    def active(self) -> list[Run]:
        return [run for run in self.here.runs() if not run.state.is_final]

    def submit(self) -> None:
        """In the background: a command takes seconds on a busy machine."""
        self.submitted += 1
        command = f"exec {PYTHON} trainee.py {EPOCHS}"
        work = {"epochs": EPOCHS, "hours": 4}
        job = self.here.job(command, name=f"job-{self.submitted}", work=work)
        self.commands.append(self.here.start("submit", job))

    def start_supervisor(self) -> None:
        self.commands.append(self.here.start("supervise"))
