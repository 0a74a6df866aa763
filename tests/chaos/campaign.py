"""Break everything that can break, for minutes on end, and see that nothing is lost, done twice or billed wrongly.

    make chaos MINUTES=10 SEED=7

Runs of a training that saves every epoch are submitted without end. Meanwhile their supervisors, nodes and programs
are killed and frozen, their files damaged and their store taken away, in an order that the seed draws. At last all is
left alone until it is done. Then it counts: what was injected, and what is wrong. Exit code 1 where anything is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random

from databases import KINDS, empty_database
from injections import INJECTIONS
from installation import Installation
from machines import processes_under
from world import AT_ONCE, EPOCHS, World

from spotwise.scheduler.core.run import Run, RunState

PAUSE_S = (0.2, 1.2)  # between two injections
SETTLING_S = 240.0  # for all that is left to do, once nobody disturbs it
UNSUPERVISED_S = 2.0  # until another supervisor is started, as cron would


@dataclass
class Findings:
    """What a campaign did, and what it found wrong."""

    runs: int = 0
    attempts: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"{count:6d}  {name.replace('_', ' ')}" for name, count in self.injected.most_common()]
        head = f"{self.runs} runs, {self.attempts} attempts, {self.injected.total()} injections:"
        return "\n".join([head, *rows, f"{len(self.wrong)} things wrong", *(f"- {what}" for what in self.wrong)])


def campaign(world: World, seconds: float, tell: Callable[[str], None] = lambda _line: None) -> Findings:
    """Disturb for so many seconds, wait until all is done, and look at what is there."""
    findings = Findings()
    end = time.monotonic() + seconds
    alone_since: float | None = None
    while time.monotonic() < end:
        if len(world.active()) < AT_ONCE and world.submitted < len(world.here.runs()) + AT_ONCE:
            world.submit()
        alone_since = None if world.here.supervisors() else alone_since or time.monotonic()
        if alone_since and time.monotonic() - alone_since > UNSUPERVISED_S:
            world.start_supervisor()
        injection = world.random.choices(list(INJECTIONS), weights=list(INJECTIONS.values()))[0]
        done = injection(world)
        if done is not None:
            findings.injected[injection.__name__] += 1
            tell(f"{injection.__name__}: {done}")
        time.sleep(world.random.uniform(*PAUSE_S))
    settle(world, findings)
    look(world, findings)
    return findings


def settle(world: World, findings: Findings) -> None:
    """Let all active runs end."""
    give_up = time.monotonic() + SETTLING_S
    while world.active() and time.monotonic() < give_up:
        if not world.here.supervisors():
            world.start_supervisor()
        time.sleep(0.2)
    for command in world.commands:
        try:
            said = command.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            findings.wrong.append(f"{command.args} does not leave though nothing is to be done")
            command.kill()
            said = command.communicate()[1]
        if "Traceback" in said:
            findings.wrong.append(f"{command.args} ended in a traceback: {said[-2000:]}")


def look(world: World, findings: Findings) -> None:
    """Everything that must hold at the end."""
    here = world.here
    runs = here.runs()
    findings.runs = len(runs)
    for run in runs:
        findings.attempts += len(here.attempts(run.id))
        findings.wrong += [f"{run.id}: {what}" for what in wrong_with(world, run)]
    if left := processes_under(here.folder):
        findings.wrong.append(f"orphans: {[' '.join(p.cmdline()) for p in left]}")
    findings.wrong += wrong_with_the_books(here, runs)


def wrong_with(world: World, run: Run) -> Iterator[str]:
    """What is wrong with one run: its end, its work, its books."""
    expected = {RunState.COMPLETED} | ({RunState.CANCELLED} if run.id in world.cancelled else set())
    if run.state not in expected:
        yield f"is {run.state}: {run.end_reason}"
    folder = Path(run.folder)
    if (folder / "twins").exists():
        yield f"two programs at once: {(folder / 'twins').read_text().splitlines()}"
    if run.state is RunState.COMPLETED:
        result = folder / "result.json"
        if not result.exists():
            yield "completed without its result"
        elif json.loads(result.read_text()) != list(range(EPOCHS)):
            yield f"its training is not whole: {result.read_text()}"
    if run.id not in world.damaged and (repeated := saved_epochs_done_again(world.here, run)):
        yield f"epochs done again that a checkpoint held: {repeated}"
    try:
        world.here.assert_settled(run.id)
    except AssertionError as fault:
        yield f"its books: {fault}"


def saved_epochs_done_again(here: Installation, run: Run) -> list[int]:
    saved, again = 0, []
    for record in here.progress(run.id):
        if record.event == "checkpoint" and record.epoch <= EPOCHS:
            saved = max(saved, record.epoch)
        elif record.event == "progress" and 0 < record.epoch <= saved and record.checkpoint is not None:
            again.append(record.epoch)
    return again


def wrong_with_the_books(here: Installation, runs: list[Run]) -> Iterator[str]:
    """The report tells the sum of all charges."""
    charged = sum((charge.amount_usd for run in runs for charge in here.charges(run.id)), Decimal(0))
    told = sum((Decimal(part["total"]["booked_usd"]) for part in here.json("report")["sections"]), Decimal(0))
    if told != charged:
        yield f"the report says {told}, and the charges sum up to {charged}"
    if len(here.json("status", "--limit", str(len(runs)))["runs"]) != len(runs):
        yield "status does not show all runs"


def campaign_on(folder: Path, database: str, seed: int, seconds: float) -> Findings:
    """One on a new installation in this folder; the server of a database that has one is restarted now and then."""
    restart = "" if database.startswith("sqlite") else os.environ["SPOTWISE_TEST_POSTGRES_RESTART"]
    here = Installation(folder, database="" if database.startswith("sqlite") else database)
    try:
        return campaign(World(here, Random(seed), restart), seconds, lambda line: print(line, flush=True))
    finally:
        here.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="spotwise-chaos."))
    with empty_database(KINDS[-1], folder) as database:
        print(f"seed {arguments.seed}, in {folder}, on {KINDS[-1]}", flush=True)
        findings = campaign_on(folder, database, arguments.seed, arguments.minutes * 60)
    print(findings)
    sys.exit(1 if findings.wrong else 0)


if __name__ == "__main__":
    main()
