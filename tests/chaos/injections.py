"""What a campaign does to an installation while it works: kills, freezes, damaged files, a store that is away.

Each takes the campaign's world and returns what it did, or None where there was nothing to do it to.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import psutil
from machines import processes_under
from world import World

Injection = Callable[[World], str | None]

# Lines that a broken program or a full disk might leave. None of them may end anything but itself.
JUNK = (
    "\n",
    "not JSON at all\n",
    "[]\n",
    "null\n",
    '{"event": "progress"}\n',
    '{"event": "progress", "time": "yesterday", "epoch": 1}\n',
    '{"event": "checkpoint", "time": "2026-01-01T00:00:00+00:00", "epoch": "many", "step": null}\n',
    '{"event": "progress", "time": "2026-01-01T00:00:00+00:00", "epoch": Infinity, "step": 1e400}\n',
    '{"event": "progress", "time": "99999-01-01T00:00:00+00:00", "epoch": 1, "metrics": []}\n',
    '{"event": "ended", "time": "2026-01-01T00:00:00+00:00", "data": 7}\n',
    '{"name": "ended", "time": "2026-01-01T00:00:00+00:00", "data": {"cause": "boredom"}}\n',
    '{"name": ["up"], "time": 12}\n',
    "[" * 200 + "]" * 200 + "\n",
)


def kill_a_supervisor(world: World) -> str | None:
    return _signal(world.pick(world.here.supervisors()), signal.SIGKILL)


def start_a_second_supervisor(world: World) -> str | None:
    world.start_supervisor()
    return "started"


def freeze_a_supervisor(world: World) -> str | None:
    return _freeze(world, world.pick(world.here.supervisors()))


def kill_a_node(world: World) -> str | None:
    return _signal(world.pick(_nodes(world)), signal.SIGKILL)


def freeze_a_node(world: World) -> str | None:
    return _freeze(world, world.pick(_nodes(world)))


def kill_a_program(world: World) -> str | None:
    return _signal(world.pick(_programs(world)), signal.SIGKILL)


def ask_a_program_to_leave(world: World) -> str | None:
    return _signal(world.pick(_programs(world)), signal.SIGTERM)


def tear_the_last_line(world: World) -> str | None:
    """Kill a program as if in the middle of a line."""
    run = world.pick(world.active())
    programs = [p for p in processes_under(Path(run.folder)) if "trainee.py" in _words(p)] if run else []
    if not run or not programs or not _signal(programs[0], signal.SIGKILL):
        return None
    programs[0].wait(10)
    with Path(run.folder, "progress.jsonl").open("a") as file:
        file.write('{"event": "progress", "ti')
    return run.id


def take_a_machine_away(world: World) -> str | None:
    """All processes of one attempt at once."""
    run = world.pick(world.active())
    victims = processes_under(Path(run.folder)) if run else []
    return f"{len(victims)} processes" if [p for p in victims if _signal(p, signal.SIGKILL)] else None


def write_junk_into_progress(world: World) -> str | None:
    run = world.pick(world.active())
    return _add(Path(run.folder, "progress.jsonl"), world.pick(JUNK)) if run else None


def write_junk_into_node_events(world: World) -> str | None:
    run = world.pick(world.active())
    files = list(Path(run.folder).glob("attempts/*/events.jsonl")) if run else []
    return _add(world.pick(files), world.pick(JUNK))


def damage_the_newest_checkpoint(world: World) -> str | None:
    """Cut its state in two: the one before it counts then."""
    run = world.pick(world.active())
    states = sorted(Path(run.folder).glob("checkpoints/step-*/state.json")) if run else []
    if not run or len(states) < 2:
        return None
    os.truncate(states[-1], states[-1].stat().st_size // 2)
    world.damaged.add(run.id)
    return states[-1].parent.name


def keep_the_store_busy(world: World) -> str | None:
    """Another process writes for a while, or the server is stopped and started again."""
    if world.restart_store:
        subprocess.run([world.restart_store], check=True, stdout=subprocess.DEVNULL)
        return "restarted"
    with closing(sqlite3.connect(world.here.home / "spotwise.db", timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(world.random.uniform(0.2, 1.5))
        connection.execute("ROLLBACK")
    return "locked"


def cancel_a_run(world: World) -> str | None:
    run = world.pick(world.active())
    if run is None:
        return None
    world.here.cli("cancel", run.id)
    world.cancelled.add(run.id)
    return run.id


# How often each is done, relative to the others.
INJECTIONS: Mapping[Injection, int] = {
    kill_a_supervisor: 6,
    start_a_second_supervisor: 3,
    freeze_a_supervisor: 3,
    kill_a_node: 4,
    freeze_a_node: 2,
    kill_a_program: 4,
    ask_a_program_to_leave: 3,
    tear_the_last_line: 2,
    take_a_machine_away: 3,
    write_junk_into_progress: 4,
    write_junk_into_node_events: 3,
    damage_the_newest_checkpoint: 2,
    keep_the_store_busy: 2,
    cancel_a_run: 1,
}


def _nodes(world: World) -> list[psutil.Process]:
    return [p for p in processes_under(world.here.home) if any(word.endswith(".node") for word in _words(p))]


def _programs(world: World) -> list[psutil.Process]:
    return [p for p in processes_under(world.here.home) if "trainee.py" in _words(p)]


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def _signal(process: psutil.Process | None, number: signal.Signals) -> str | None:
    if process is None:
        return None
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        return f"{process.pid}"
    return None


def _freeze(world: World, process: psutil.Process | None) -> str | None:
    if process is None or not _signal(process, signal.SIGSTOP):
        return None
    time.sleep(world.random.uniform(0.3, 2.0))
    return _signal(process, signal.SIGCONT)


def _add(file: Path | None, line: str | None) -> str | None:
    if file is None or line is None or not file.exists():
        return None
    with file.open("a") as opened:
        opened.write(line)
    return line[:40].strip()
