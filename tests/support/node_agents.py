"""Agents of nodes as real processes: what an engine does to start them, and what it sees of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from spotwise.checkpoints import storage_for
from spotwise.checkpoints.storage import Storage
from spotwise.scheduler.node_agent.events import NodeEvent, parse_events
from spotwise.scheduler.node_agent.task import NodeTask, StopRequest

PATIENCE_S = 60.0
HASTE = "0.1"  # agents wait a tenth of the usual
UNTIL_TOLD = "trap 'echo saved; exit 75' TERM; echo ready; while :; do sleep 0.05; done"


class Attempt:
    """One attempt of a run: its request, its nodes' agents, and its files at the run's URL."""

    def __init__(self, folder: Path, run_url: str = "", *, number: int = 1, **environ: str) -> None:
        self.folder, self.run_url, self.number = folder, run_url or str(folder / "run"), number
        self.id = f"job-x1-a{number}"
        self.agents: list[subprocess.Popen[bytes]] = []
        self._environ = environ

    @property
    def storage(self) -> Storage:
        return storage_for(self.run_url)

    def ask(self, command: str, **changes: object) -> None:
        fields: dict[str, object] = {"setup": "", **changes}
        task = NodeTask(self.id, "job-x1", datetime.now(UTC), command=command, **fields)
        self.put("request.json", task.to_json().encode())

    def stop_request(self, grace_s: float) -> None:
        self.put("terminate.json", StopRequest(datetime.now(UTC), grace_s).to_json().encode())

    def start(self, rank: int = 0, *, home: str = "", **environ: str) -> subprocess.Popen[bytes]:
        """An agent; its own output is kept in ``agent-<rank>.out``."""
        workdir = self.folder / "work"
        workdir.mkdir(parents=True, exist_ok=True)
        with self.output(rank).open("ab") as output:
            agent = subprocess.Popen(
                [sys.executable, "-P", "-m", "spotwise.scheduler.node_agent"],
                cwd=workdir,
                env={**_bare(), **self._names(rank, home), **self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.agents.append(agent)
        return agent

    def run(self, command: str, **changes: object) -> int:
        """Ask for it, and wait for the exit code of its only node."""
        self.ask(command, **changes)
        return self.start().wait(PATIENCE_S)

    def put(self, name: str, data: bytes) -> None:
        self.storage.put(f"attempts/{self.id}/{name}", data)

    def read(self, name: str) -> bytes:
        try:
            return self.storage.read(f"attempts/{self.id}/{name}")
        except FileNotFoundError:
            return b""

    def log(self, rank: int = 0) -> str:
        return self.read(f"log-{rank}.txt").decode()

    def output(self, rank: int = 0) -> Path:
        return self.folder / f"agent-{rank}.out"

    def events(self) -> list[NodeEvent]:
        return parse_events(self.read("events.jsonl"))

    def event(self, name: str) -> Mapping[str, object]:
        """What an event holds; it must have happened once."""
        (found,) = [event for event in self.events() if event.name == name]
        return found.data

    def names(self) -> list[str]:
        return [event.name for event in self.events()]

    def wait_for_line(self, line: str, rank: int = 0) -> None:
        wait_until(lambda: line in self.log(rank).splitlines(), f"the line {line!r} of node {rank}")

    def end(self) -> None:
        """SIGKILL agents and whatever they have started."""
        for agent in self.agents:
            kill_tree(agent)

    def _names(self, rank: int, home: str) -> dict[str, str]:
        return {
            "SPOTWISE_ATTEMPT_ID": self.id,
            "SPOTWISE_ATTEMPT": str(self.number),
            "SPOTWISE_RUN_URL": self.run_url,
            "SPOTWISE_NODE_HOME": home or str(self.folder / f"home-{rank}"),
            "SPOTWISE_NODE_PATIENCE": HASTE,
            "SKYPILOT_NODE_RANK": str(rank),
        }


def wait_until(happened: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"waited {PATIENCE_S} s in vain for {what}"
        time.sleep(0.02)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all below it, as when its machine is gone."""
    try:
        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for one in tree:
        _kill(one)
    process.wait()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def _bare() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "HOME") if name in os.environ}
