"""Runs an attempt's scripts on the machine that they are for: tells them to leave when they must, reaps children.

One thread; whoever makes a `Runner` is asked, several times a second, whether the machine has to go away.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from spotwise.checkpoints.stop import EXIT_PREEMPTED

from .end_cause import EndCause
from .events import NodeEventName
from .processes import adopt_orphans, ask_to_leave, descendants, filters, is_alive, kill_all
from .program_end import ProgramEnd
from .shell import bash_words
from .steady_clock import steady_s

TICK_S = 0.1  # how soon a request to stop is seen; ends of processes are seen at once
EXIT_CANNOT_RUN = 126  # what a shell exits with for it
# A program that falls before ``| tee`` has not ended well. Not for ``setup``, where ``yes | install`` is usual.
_PIPEFAIL = ("-o", "pipefail")
_SIGTERM_EXIT = 128 + signal.SIGTERM


class NodeClock:
    """Wall-clock time that neither jumps nor runs backwards: set once, then carried by the steady clock."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        *,
        set_at: tuple[datetime, float] | None = None,
    ) -> None:
        """``set_at``: a moment on the scheduler's clock and what the steady clock showed then; default: set it now."""
        self._steady = steady
        self._offset_s = wall() - steady() if set_at is None else set_at[0].timestamp() - set_at[1]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._offset_s + self._steady(), UTC)


class StopOrder(NamedTuple):
    """Why the machine goes away, and when at the latest."""

    cause: EndCause
    deadline: datetime


class Runner:
    """Runs scripts, one after the other, until they have ended or must leave."""

    def __init__(
        self,
        *,
        workdir: str,
        env: Mapping[str, str],
        log: Path,
        clock: NodeClock,
        record: Callable[..., None],
        handle: Callable[[datetime], None],
    ) -> None:
        """``record(name, at=None, **data)`` writes an event; ``handle(now)`` may call `leave_by`."""
        self.leave: StopOrder | None = None
        self.orphans_adopted = adopt_orphans()
        self._workdir, self._env, self._log, self._clock = workdir, dict(env), log, clock
        self._record, self._handle = record, handle
        self._exit_codes: dict[int, int] = {}  # by pid, of every process that was reaped here
        self._wake = _wake_on_child_exit()

    def leave_by(self, cause: EndCause, deadline: datetime) -> None:
        """The first cause stays; the earliest deadline counts."""
        first = self.leave or StopOrder(cause, deadline)
        self.leave = StopOrder(first.cause, min(first.deadline, deadline))

    def wait(self, longest_s: float) -> None:
        """Wait a little, or until a child ends; then act on what is wanted of the machine."""
        if select.select([self._wake], [], [], min(longest_s, TICK_S))[0]:
            os.read(self._wake, 4096)
        self._handle(self._clock.now())

    def set_up(self, script: str) -> ProgramEnd | None:
        """Run the setup script, if any. None if the command may start."""
        if not script:
            return None
        code, at = self._run(script, NodeEventName.SETUP)
        if self.leave is not None:
            return ProgramEnd(self.leave.cause, at, None, f"{self.leave.cause} during setup")  # no program has run
        failed = ProgramEnd(EndCause.SETUP_FAILED, at, code, f"setup failed with exit code {code}")
        return failed if code else None

    def work(self, command: str) -> ProgramEnd:
        """Run the command. Told to leave, it may also leave with 0: whether all work is done, others must know."""
        code, at = self._run(command, NodeEventName.STARTED)
        if self.leave is None:
            return ProgramEnd(EndCause.EXITED, at, code, f"the command ended with exit code {code}")
        saved = "the program saved and left" if code == EXIT_PREEMPTED else f"the program left with exit code {code}"
        return ProgramEnd(self.leave.cause, at, code, f"{self.leave.cause}; {saved}")

    def end_all(self) -> bool:
        """Kill whatever the scripts have left behind; False if something cannot be killed."""
        return kill_all(descendants)

    def write_log(self, text: str) -> None:
        """A line for whoever reads the attempt's log."""
        with self._log.open("a") as log:
            log.write(f"[spotwise] {text}\n")

    def _run(self, script: str, event: NodeEventName) -> tuple[int, datetime]:
        """Run a shell script until it has ended, or until it must. Its exit code, and when it was gone."""
        try:
            file = self._log.with_name(f"{self._log.stem}-{event}.sh")
            process = self._start(bash_words(script, file, _PIPEFAIL if event is NodeEventName.STARTED else ()))
        except OSError as error:
            self.write_log(f"cannot run bash in {self._workdir}: {error.strerror}")
            return EXIT_CANNOT_RUN, self._clock.now()
        leader = psutil.Process(process.pid)
        self._record(event, pid=leader.pid, created=leader.create_time())
        told: list[psutil.Process] = []
        readers: list[psutil.Process] = []
        while not self._is_gone(leader, [*told, *readers]):
            if self.leave is not None:
                readers = readers if told else filters(leader)
                told = told or ask_to_leave(leader)
                if self._clock.now() >= self.leave.deadline:
                    self.write_log("time is up: killed")
                    kill_all(descendants)
            self.wait(TICK_S)
        process.returncode = self._exit_codes[leader.pid]  # reaped here, not by subprocess
        return self._exit_code(leader, told), self._clock.now()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._workdir,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_gone(self, leader: psutil.Process, below: list[psutil.Process]) -> bool:
        """A shell dies at once of SIGTERM; the programs told with it, and what prints for them, have their grace."""
        self._reap()
        return leader.pid in self._exit_codes and not any(is_alive(process) for process in below)

    def _exit_code(self, leader: psutil.Process, told: list[psutil.Process]) -> int:
        """The script's exit code; 75 where the shell died of the notice and a program below it saved and left."""
        code = self._exit_codes[leader.pid]
        self._reap()
        saved = EXIT_PREEMPTED in (self._exit_codes.get(process.pid) for process in told)
        return EXIT_PREEMPTED if code == _SIGTERM_EXIT and saved else code

    def _reap(self) -> None:
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


def _wake_on_child_exit() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
