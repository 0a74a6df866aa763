"""The machine of one attempt, as a process: ``python -m spotwise.scheduler.engines.local.node <attempt folder>``.

It lives on when the supervisor dies, as a machine in the cloud does. It waits for the capacity, runs setup and command,
delivers the market's notice and the kill, obeys ``terminate.json``, and writes down what happened when. It reads the
job's environment as JSON from standard input. It holds the folder's lock: a second node for the same attempt leaves at
once. Standard library and psutil only, since one is started for every attempt.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .events import Event, append_event
from .folder import AttemptFolder, NodeRequest
from .processes import FOLDER_VARIABLE, adopt_orphans, ask_to_leave, descendants, filters, is_alive, kill_all

TICK_S = 0.1  # how soon a wish to terminate is seen; ends of processes are seen at once
BEAT_S = 0.5  # how precisely the end of a node that was killed is known
EXIT_PREEMPTED = 75  # as spotwise.checkpoints.EXIT_PREEMPTED: saved and left
EXIT_CANNOT_RUN = 126  # a shell's word for it
_SIGTERM_EXIT = 128 + signal.SIGTERM


class NodeClock:
    """Wall-clock time that neither jumps nor runs backwards: set once, then carried by the steady clock."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._offset_s = wall() - steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._offset_s + self._steady(), UTC)


class Leave(NamedTuple):
    """Why the machine goes away, and when at the latest."""

    cause: str  # EndCause "preempted" or "terminated"
    deadline: datetime


class Ending(NamedTuple):
    """How the attempt ended."""

    cause: str  # a value of EndCause
    at: datetime
    exit_code: int | None
    message: str


class Node:
    """Runs one attempt from its request to its end. One thread; every wait goes through `_tick`."""

    def __init__(self, folder: AttemptFolder, request: NodeRequest, env: Mapping[str, str], clock: NodeClock) -> None:
        self._folder = folder
        self._request = request
        self._env = {"PYTHONUNBUFFERED": "1", **os.environ, **env, FOLDER_VARIABLE: str(folder.path)}
        self._clock = clock
        self._leave: Leave | None = None
        self._grace_seen_s: float | None = None
        self._noticed = False
        self._exit_codes: dict[int, int] = {}  # by pid, of every process that this node has buried
        self._last_beat = clock.now()
        self._wake = _wake_on_child_exit()

    def run(self) -> None:
        """Everything, until the end is on disk and no process is left."""
        try:
            self._record("asked", pid=os.getpid(), orphans_adopted=adopt_orphans())
            ending = self._provision() or self._set_up() or self._work()
        finally:
            all_gone = kill_all(descendants)
        message = ending.message if all_gone else f"{ending.message}; some processes could not be killed"
        self._record("ended", ending.at, cause=ending.cause, exit_code=ending.exit_code, message=message)

    def _provision(self) -> Ending | None:
        """Wait for the machine: not billed. None once it is there."""
        request = self._request
        self._heed_terminate(self._clock.now())  # an attempt ended before it began must not begin
        up = request.capacity_at if request.notice_at is None else min(request.capacity_at, request.notice_at)
        while self._leave is None and (left_s := (up - self._clock.now()).total_seconds()) > 0:
            self._tick(left_s)
        now = self._clock.now()
        if self._leave is not None:
            return Ending("no_capacity", now, None, "ended by spotwise before the machine was up")
        if request.notice_at is not None and now >= request.notice_at:
            return Ending(
                "no_capacity", now, None, f"{request.pool} ran out of capacity while the machine was starting"
            )
        self._record("launched", now)
        return None

    def _set_up(self) -> Ending | None:
        """Run the setup script, if any. None if the command may start."""
        if not self._request.setup:
            return None
        code, at = self._run_script(self._request.setup, "setup")
        if self._leave is not None:
            return Ending(self._leave.cause, at, code, f"{self._leave.cause} during setup")
        return Ending("setup_failed", at, code, f"setup failed with exit code {code}") if code else None

    def _work(self) -> Ending:
        """Run the command. Exit code 0 is an end of its own making, even after a notice: the work is done."""
        code, at = self._run_script(self._request.command, "started")
        if self._leave is None or code == 0:
            return Ending("exited", at, code, f"the command ended with exit code {code}")
        saved = "the program saved and left" if code == EXIT_PREEMPTED else f"the program left with exit code {code}"
        return Ending(self._leave.cause, at, code, f"{self._leave.cause}; {saved}")

    def _run_script(self, script: str, event: str) -> tuple[int, datetime]:
        """Run a shell script until it has ended, or until it must. Its exit code, and when it was gone."""
        try:
            process = self._start(script)
        except OSError as error:
            self._say(f"cannot run bash in {self._request.workdir}: {error.strerror}")
            return EXIT_CANNOT_RUN, self._clock.now()
        leader = psutil.Process(process.pid)
        self._record(event, pid=leader.pid, created=leader.create_time())
        told: list[psutil.Process] = []
        readers: list[psutil.Process] = []
        while not self._is_gone(leader, [*told, *readers]):
            if self._leave is not None:
                readers = readers if told else filters(leader)
                told = told or ask_to_leave(leader)
                if self._clock.now() >= self._leave.deadline:
                    self._say("time is up: killed")
                    kill_all(descendants)
            self._tick(TICK_S)
            self._heed_market(self._clock.now())
        process.returncode = self._exit_codes[leader.pid]  # buried here, not by subprocess
        return self._exit_code(leader, told), self._clock.now()

    def _start(self, script: str) -> subprocess.Popen[bytes]:
        with self._folder.log_path.open("ab") as log:
            return subprocess.Popen(
                ["bash", "-c", script],
                cwd=self._request.workdir,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_gone(self, leader: psutil.Process, below: list[psutil.Process]) -> bool:
        """A shell dies at once of SIGTERM; the programs told with it, and what prints for them, have their grace."""
        self._bury()
        return leader.pid in self._exit_codes and not any(is_alive(process) for process in below)

    def _exit_code(self, leader: psutil.Process, told: list[psutil.Process]) -> int:
        """The script's exit code; 75 where the shell died of the notice and a program below it saved and left."""
        code = self._exit_codes[leader.pid]
        self._bury()
        saved = EXIT_PREEMPTED in (self._exit_codes.get(process.pid) for process in told)
        return EXIT_PREEMPTED if code == _SIGTERM_EXIT and saved else code

    def _bury(self) -> None:
        """Collect every dead child: the leader, and orphans that became ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._exit_codes[pid] = code if code >= 0 else 128 - code  # killed by signal n: 128 + n, as shells say

    def _tick(self, longest_s: float) -> None:
        """Wait a little, or until a child ends; then see what spotwise wants."""
        if select.select([self._wake], [], [], min(longest_s, TICK_S))[0]:
            os.read(self._wake, 4096)
        now = self._clock.now()
        if (now - self._last_beat).total_seconds() >= BEAT_S:
            self._folder.beat(now)
            self._last_beat = now
        self._heed_terminate(now)
        self._heed_budget(now)

    def _heed_terminate(self, now: datetime) -> None:
        grace_s = self._folder.terminate_grace_s()
        if grace_s is None or (self._grace_seen_s is not None and grace_s >= self._grace_seen_s):
            return
        self._grace_seen_s = grace_s
        self._record("terminating", now, grace_s=grace_s)
        self._leave_by("terminated", now + timedelta(seconds=grace_s))

    def _heed_budget(self, now: datetime) -> None:
        """Normally the supervisor stops an attempt a moment earlier; this holds when none lives."""
        stop_at = self._request.stop_at
        if self._leave is not None or stop_at is None or now < stop_at:
            return
        self._record("terminating", now, grace_s=self._request.stop_grace_s)
        self._say("the budget is spent: asked to save and leave")
        self._leave_by("terminated", now + timedelta(seconds=self._request.stop_grace_s))

    def _heed_market(self, now: datetime) -> None:
        notice_at, grace_s = self._request.notice_at, self._request.grace_s
        if self._noticed or notice_at is None or now < notice_at:
            return
        self._noticed = True
        self._record("notice", now, grace_s=grace_s)
        self._say(f"preemption notice: {self._request.pool} takes the machine back in {grace_s:g} s")
        self._leave_by("preempted", now + timedelta(seconds=grace_s))

    def _leave_by(self, cause: str, deadline: datetime) -> None:
        """The first cause stays; the earliest deadline counts."""
        first = self._leave or Leave(cause, deadline)
        self._leave = Leave(first.cause, min(first.deadline, deadline))

    def _record(self, name: str, at: datetime | None = None, **data: Any) -> None:
        append_event(self._folder.events_path, Event(name, at or self._clock.now(), data))

    def _say(self, text: str) -> None:
        """A line for whoever reads the attempt's log."""
        with self._folder.log_path.open("a") as log:
            log.write(f"[spotwise] {text}\n")


def _wake_on_child_exit() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def main() -> int:
    """Lock the attempt, then leave it to a process of its own, which nobody waits for."""
    folder = AttemptFolder(Path(sys.argv[1]))
    env = json.load(sys.stdin)
    request = folder.request()
    if request is None:
        sys.stderr.write(f"{folder.request_path} is missing: nothing to run\n")
        return 1
    if folder.try_lock() is None or folder.events():
        return 0  # another node runs it, or has run it
    if os.fork() > 0:
        return 0  # the child keeps the lock
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    Node(folder, request, env, NodeClock()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
