"""Who holds a lease: a supervisor process, named so that another one on the same machine can tell that it is dead."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from ..store import Store

_START_TIME = 19  # of the fields behind the name in /proc/PID/stat: see proc(5)


@dataclass(frozen=True, slots=True)
class SupervisorProcess:
    """A process on a host, with its start time, so that a recycled pid is not mistaken for it."""

    host: str
    pid: int
    created: str  # clock ticks since the machine booted; elsewhere than on Linux seconds since the epoch, two decimals

    @classmethod
    def of(cls, process: psutil.Process) -> SupervisorProcess:
        """A process of this machine. Raises ``psutil.NoSuchProcess`` where it has ended."""
        return cls(socket.gethostname(), process.pid, _created(process))

    @classmethod
    def parse(cls, owner: str) -> SupervisorProcess | None:
        """The process that a lease's owner names, as `str` writes it; None where it names something else."""
        match owner.split(" "):
            case [host, pid, created] if pid.isdigit():
                return cls(host, int(pid), created)
        return None

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.created}"


def _created(process: psutil.Process) -> str:
    """When it was created, on a clock that nobody sets: psutil's own moves with the wall clock."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return fields[_START_TIME]
    except (OSError, IndexError):
        return f"{process.create_time():.2f}"


def me() -> str:
    """This process, as the owner of leases."""
    return str(SupervisorProcess.of(psutil.Process(os.getpid())))


def free_if_dead(store: Store, run_id: str, now: datetime) -> None:
    """Free a run whose supervisor died on this machine at once, instead of when its lease expires."""
    owner = store.lease_owner(run_id, now)
    if owner and is_dead_here(owner):
        store.release(run_id, owner)


def is_driven(store: Store, run_id: str, now: datetime) -> bool:
    """Whether a supervisor, alive as far as can be told from here, holds a run."""
    free_if_dead(store, run_id, now)
    return store.lease_owner(run_id, now) != ""


def is_dead_here(owner: str) -> bool:
    """Whether a lease's owner is a process of this machine that has ended; False where nobody can tell."""
    named = SupervisorProcess.parse(owner)
    if named is None or named.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(named.pid)
        return SupervisorProcess.of(process) != named or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
