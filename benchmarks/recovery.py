"""From a preemption to training again: ours beside SkyPilot's managed jobs, same clusters, same training program.

``make bench-recovery``, or ``bash tests/integration/skypilot/run.sh .venv/bin/python benchmarks/recovery.py
[--rounds 5] [--json FILE]``. In each round a job starts, trains, and loses the node that it is on: SIGTERM, and SIGKILL
8 s later. Measured is from that SIGTERM, as the program sees it, until the program's first step after its restore.
Rounds of the two alternate; each starts with empty clusters, and ours with an empty store and default settings. The
managed job may go to either cluster, recovers by EAGER_NEXT_REGION, SkyPilot's default, and is told that exit code 75
is no failure. Of SkyPilot only one thing is changed: the addresses that its jobs controller probes before each look, as
there may be no Internet here.

detection     until the loss is known: the attempt's end is in the store; the managed job is RECOVERING
decision      until SkyPilot's server is asked for the next machine, files sent along
provisioning  until something of the job runs there: our agent; the managed job's program
restore       until the first step

Exit code 1: ours is slower in the median, or went back into the pool that preempted, or one of the two never worked.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from sky_installation import PRICES, SkyInstallation
from slurm_machines import VARIABLE
from slurm_world import NOTICE_S, SlurmWorld

from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.node_agent.events import NodeEventName, read_events

TRAINED_S = 15.0  # at least, before a job loses its node
LOOK_S = 15.0  # SkyPilot's jobs controller looks so often: the losses of the rounds are spread evenly over that
PATIENCE_S = 300.0
PARTS = ("detection", "decision", "provisioning", "restore", "total")
OURS, THEIRS = "spotwise", "managed jobs"
SIZE = {"accelerators": "V100:1", "cpus": 1, "memory": 1}

PROGRAM = """
import json, os, signal, socket, sys, time

folder = os.environ["RECOVERY_FOLDER"]
checkpoint = os.path.join(folder, "checkpoint")
step = 0

def note(event):
    line = json.dumps({"event": event, "at": time.time(), "node": socket.gethostname(), "step": step}) + "\\n"
    notes = os.open(os.path.join(folder, "notes.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(notes, line.encode())
    os.close(notes)

def save():
    with open(checkpoint + ".part", "w") as file:
        file.write(str(step))
    os.replace(checkpoint + ".part", checkpoint)

def leave(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("sigterm")
    save()
    note("saved")
    os._exit(75)

signal.signal(signal.SIGTERM, leave)
note("started")
if os.path.exists(checkpoint):
    step = int(open(checkpoint).read())
    note("restored")
while True:
    time.sleep(0.2)
    step += 1
    note("step")
    if step % 5 == 0:  # an epoch
        save()
"""

REMARKS = """
Both provision through the same SkyPilot server, with default gaps between all looks; changed is only what its jobs
controller probes to learn whether the network is up. Nodes on Slurm come up in seconds: on a cloud both take minutes
longer, and the difference counts for less. The pool that preempted has a second, free node, which a managed job may
get; where the whole pool is short, it waits there first. Without `recover_on_exit_codes: [75]` a managed job whose
program saves and leaves may be taken for failed. Not measured: notices from clouds, which only spotwise heeds.
"""

# The SDK in processes of its own, as people's commands would use it.
LAUNCH = """
import json, sys, sky
jobs, _ = sky.get(sky.jobs.launch(sky.Task.from_yaml_config(json.load(sys.stdin)), name="recovery"))
print(json.dumps(jobs))
"""
CANCEL = """
import json, sys, sky
sky.get(sky.jobs.cancel(job_ids=json.load(sys.stdin)))
"""


class RoundError(Exception):
    """A round that came to nothing, and why."""


FAULTS = (RoundError, AssertionError, LookupError, StopIteration, TimeoutError, subprocess.SubprocessError)


@dataclass(frozen=True)
class Note:
    """What the program wrote down, by the clock that all machines here share."""

    event: str
    at: float
    node: str
    step: int

    @property
    def cluster(self) -> str:
        return self.node.partition("-")[0]


@dataclass(frozen=True)
class Notes:
    """The file that the program of one round writes."""

    folder: Path

    def read(self) -> list[Note]:
        path = self.folder / "notes.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Note(**json.loads(line)) for line in lines]

    def first(self, event: str, after: str | None = None) -> Note | None:
        """The first of these, or the first after the first of others."""
        notes = self.read()
        begin = 0 if after is None else next((i for i, n in enumerate(notes) if n.event == after), len(notes))
        return next((note for note in notes[begin:] if note.event == event), None)


@dataclass(frozen=True)
class Round:
    """One recovery, in seconds, and where it led."""

    side: str
    number: int
    lost: str = ""  # node
    next: str = ""
    seconds: dict[str, float] | None = None
    chose_s: float | None = None  # of the decision: until the next attempt is in the store; ours only
    launch_s: float | None = None  # of the provisioning: SkyPilot's own work on the request
    failure: str = ""

    @property
    def went_back(self) -> bool:
        return bool(self.next) and self.lost.partition("-")[0] == self.next.partition("-")[0]

    def told(self) -> str:
        if self.seconds is None:
            return self.failure
        return f"{self.lost} -> {self.next}, " + ", ".join(f"{part} {s:.1f} s" for part, s in self.seconds.items())


class Ours:
    """A spotwise installation with nothing in its settings but the two pools and the shared folder."""

    side = OURS

    def __init__(self, world: SlurmWorld, folder: Path, notes: Notes) -> None:
        self._world = world
        self._site = SkyInstallation(folder / "spotwise", world=world)
        pools = [
            {"infra": f"slurm/{c}/spot", "market": "spot", "price_usd_per_hour": PRICES[c]["spot"], **SIZE}
            for c in PRICES
        ]
        skypilot = {"storage": str(self._site.storage()), "pools": pools}
        settings = {"engine": "skypilot", "skypilot": skypilot}
        Path(self._site.env["SPOTWISE_SETTINGS"]).write_text(json.dumps(settings))
        (self._site.work / "train.py").write_text(PROGRAM)
        self._envs = {"RECOVERY_FOLDER": str(notes.folder)}
        self._run_id = ""

    def start(self) -> None:
        work = {"epochs": 10_000, "hours": 3, "reference": "V100"}
        self._run_id = self._site.submit(self._site.sky_job("exec python3 train.py", work=work, envs=self._envs))

    def moments(self) -> tuple[float, float, float]:
        """When the loss was known, when the choice was made, when the agent was up."""
        lost, following, *_ = self._site.attempts(self._run_id)
        events = self._site.store.events(self._run_id)
        known = next(e.at for e in events if e.attempt_id == lost.id and e.kind == "preempted")
        chosen = next(e.at for e in events if e.attempt_id == following.id and e.kind == "placed")
        folder = Path(self._site.run(self._run_id).storage) / "attempts" / following.id
        up = next(e.time for e in read_events(folder / "events.jsonl") if e.name == NodeEventName.UP)
        return known.timestamp(), chosen.timestamp(), up.timestamp()

    def is_running(self) -> bool:
        """As far as it knows itself."""
        return self._site.attempts(self._run_id)[-1].state is AttemptState.RUNNING

    def state(self) -> str:
        return f"our run is {self._site.run(self._run_id).state}" if self._run_id else "it was not accepted"

    def end(self) -> None:
        try:
            if self._run_id:
                self._site.cli("cancel", self._run_id)
                self._site.wait(lambda: self._site.run(self._run_id).state.is_final, "the end of our run")
        finally:
            self._site.close()


class Theirs:
    """A managed job, as SkyPilot's documentation has it."""

    side = THEIRS

    def __init__(self, world: SlurmWorld, folder: Path, notes: Notes) -> None:
        self._world, self._notes = world, notes
        self._work = folder / "managed"
        self._work.mkdir()
        (self._work / "train.py").write_text(PROGRAM)
        self._jobs: list[int] = []

    def start(self) -> None:
        resources = {
            **SIZE,
            "ordered": [{"infra": f"slurm/{cluster}/spot"} for cluster in cheapest_first()],
            "job_recovery": {"strategy": "EAGER_NEXT_REGION", "recover_on_exit_codes": [75]},
        }
        task = {
            "name": "recovery",
            "resources": resources,
            "workdir": str(self._work),
            "envs": {"RECOVERY_FOLDER": str(self._notes.folder)},
            "run": "exec python3 train.py",
        }
        self._jobs = json.loads(self._sdk(LAUNCH, task).splitlines()[-1])

    def moments(self) -> tuple[float, None, float]:
        """When it was RECOVERING, and when its program was there."""
        started = self._notes.first("started", after="sigterm")
        assert started is not None
        return self._recovering(), None, started.at

    def end(self) -> None:
        if not self._jobs:
            return
        self._sdk(CANCEL, self._jobs)
        wait(lambda: self._status() in ("CANCELLED", "FAILED"), "the managed job to end")
        wait(lambda: not self._world.sky_clusters(), "the managed job's cluster to go")

    def is_running(self) -> bool:
        return self._status() == "RUNNING"

    def state(self) -> str:
        return f"the managed job is {self._status()}" if self._jobs else "it was not accepted"

    def _status(self) -> str:
        return str(self._rows("SELECT status FROM spot WHERE spot_job_id = ?")[0][0])

    def _recovering(self) -> float:
        query = "SELECT timestamp FROM job_events WHERE spot_job_id = ? AND new_status = 'RECOVERING' ORDER BY id"
        return datetime.fromisoformat(str(self._rows(query)[0][0])).timestamp()  # without a zone: local time

    def _rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._world.sky_home / ".sky/spot_jobs.db")) as database:
            return database.execute(query, self._jobs[:1]).fetchall()

    def _sdk(self, script: str, value: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(value),
            env=self._world.client_env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if done.returncode:
            raise RoundError(f"SkyPilot: {done.stderr.strip()[-400:]}")
        return done.stdout


def cheapest_first() -> list[str]:
    """What ``any_of`` is for; in a managed job of SkyPilot 0.14.1 that takes them in any order, so it gets this one."""
    return sorted(PRICES, key=lambda cluster: PRICES[cluster]["spot"])


def first_launch_after(world: SlurmWorld, moment: float) -> tuple[float, float | None]:
    """When SkyPilot's server got the first request for a cluster after this, and when it was done with it."""
    query = "SELECT created_at, finished_at FROM requests WHERE name = 'sky.launch' AND created_at > ? ORDER BY 1"
    with closing(sqlite3.connect(world.sky_home / ".sky/api_server/requests.db")) as database:
        found = database.execute(query, [moment]).fetchone()
    if found is None:
        raise RoundError("SkyPilot was not asked for another machine")
    return float(found[0]), found[1]


def wait(happened: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    give_up = time.monotonic() + patience_s
    while not happened():
        if time.monotonic() > give_up:
            raise RoundError(f"waited {patience_s:g} s in vain for {what}")
        time.sleep(0.2)


def measure(kind: type[Ours] | type[Theirs], number: int, phase: float, world: SlurmWorld) -> Round:
    """One round, from empty clusters to empty clusters."""
    try:
        world.reset()
    except FAULTS as fault:
        return Round(kind.side, number, failure=f"the clusters could not be emptied: {fault}"[:600])
    with tempfile.TemporaryDirectory() as folder:
        notes = Notes(world.shared_folder / "recovery")
        notes.folder.mkdir()
        notes.folder.chmod(0o777)
        (Path(folder) / "spotwise").mkdir()
        job = kind(world, Path(folder), notes)
        with ended(job):
            try:
                return recovery(job, number, phase, world, notes)
            except FAULTS as fault:
                return Round(kind.side, number, failure=f"{fault or type(fault).__name__}; {job.state()}"[:600])


@contextmanager
def ended(job: Ours | Theirs) -> Iterator[None]:
    """Whatever becomes of the round, its job ends; what is still left, the next reset ends."""
    try:
        yield
    finally:
        try:
            job.end()
        except FAULTS as fault:
            print(f"{job.side}: the job could not be ended: {str(fault)[:300]}", flush=True)


def recovery(job: Ours | Theirs, number: int, phase: float, world: SlurmWorld, notes: Notes) -> Round:
    """``phase``: when, between two looks of the jobs controller; 0 to 1."""
    job.start()
    wait(lambda: notes.first("step") is not None and job.is_running(), "the job to train")
    time.sleep(TRAINED_S + LOOK_S * phase)
    before = notes.read()[-1]
    world.reclaim(before.cluster, before.node)
    wait(lambda: notes.first("step", after="restored"), "the job to train again")
    sigterm, first_step = notes.first("sigterm"), notes.first("step", after="restored")
    assert sigterm is not None, "the program got no notice"
    assert first_step is not None
    known, chosen, up = job.moments()
    asked, done = first_launch_after(world, sigterm.at)
    times = (sigterm.at, known, asked, up, first_step.at)
    seconds = {part: b - a for part, a, b in zip(PARTS, times[:-1], times[1:], strict=False)}
    seconds["total"] = first_step.at - sigterm.at
    chose_s, launch_s = chosen and chosen - known, done and done - asked
    return Round(job.side, number, before.node, first_step.node, seconds, chose_s, launch_s)


def serve_managed_jobs(world: SlurmWorld) -> None:
    """Start the world's API server anew, with the jobs controller in it and with SkyPilot's own gaps between looks."""
    config, plugins = (world.sky_home / ".sky" / name for name in ("config.yaml", "plugins.yaml"))
    keys = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**keys, "jobs": {"controller": {"consolidation_mode": True}}}))
    keys = yaml.safe_load(plugins.read_text())
    keys["plugins"][0]["parameters"]["patient"] = True
    plugins.write_text(yaml.safe_dump(keys))
    world.restart_api_server()


def environment() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "skypilot": version("skypilot"),
        "notice_s": NOTICE_S,
    }


def show(side: str, rounds: list[Round]) -> None:
    done = [one.seconds for one in rounds if one.seconds is not None]
    back = sum(one.went_back for one in rounds)
    print(f"\n{side}: {len(done)} of {len(rounds)} rounds; into the pool that preempted: {back} of {len(done)}")
    for part in PARTS if done else ():
        values = [seconds[part] for seconds in done]
        print(f"  {part:<14}{statistics.median(values):8.1f}{min(values):8.1f}{max(values):8.1f}")
    for name, what in (("chose_s", "until the next attempt is in the store"), ("launch_s", "sky.launch in its server")):
        values = [value for one in rounds if (value := getattr(one, name)) is not None]
        if values:
            print(f"    of that, {what}: {statistics.median(values):.1f}")
    for one in rounds:
        if one.failure:
            print(f"  round {one.number} failed: {one.failure}")


def verdict(ours: list[Round], theirs: list[Round]) -> int:
    totals = [[r.seconds["total"] for r in rounds if r.seconds is not None] for rounds in (ours, theirs)]
    if not all(totals):
        print("One of the two never recovered: nothing is compared.")
        return 1
    a, b = map(statistics.median, totals)
    print(f"Median from SIGTERM to the first step: {a:.1f} s ({OURS}), {b:.1f} s ({THEIRS}): {b / a:.1f} to 1.")
    return int(a > b or any(one.went_back for one in ours))


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if VARIABLE not in os.environ:
        print("It needs two clusters: bash tests/integration/skypilot/run.sh .venv/bin/python benchmarks/recovery.py")
        return 2
    world, before = SlurmWorld.from_env(), environment()
    os.umask(0)  # nodes and scheduler write into one folder
    serve_managed_jobs(world)
    rounds = []
    for number in range(1, options.rounds + 1):
        for kind in (Ours, Theirs):
            one = measure(kind, number, (number - 0.5) / options.rounds, world)
            rounds.append(one)
            print(f"round {number}, {kind.side}: {one.told()}", flush=True)
    world.reset()
    report(rounds, before, options.json)
    return verdict(*([one for one in rounds if one.side == side] for side in (OURS, THEIRS)))


def report(rounds: list[Round], before: dict[str, Any], path: Path | None) -> None:
    after = environment()
    print(
        f"\n{after['cores']} cores, load {before['load'][0]} before and {after['load'][0]} after, SkyPilot "
        f"{after['skypilot']}; {after['notice_s']:g} s from SIGTERM to SIGKILL; seconds: median, least, most"
    )
    for side in (OURS, THEIRS):
        show(side, [one for one in rounds if one.side == side])
    print(REMARKS)
    if path is not None:
        text = {"before": before, "after": after, "rounds": [asdict(one) for one in rounds]}
        path.write_text(json.dumps(text, indent=2))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write every round there, too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
