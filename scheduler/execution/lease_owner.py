"""Who holds a lease: a supervisor process, named so that another one on the same machine can tell that it is dead."""

from __future__ import annotations

import os
import socket
from datetime import datetime

import psutil

from ..store import Store


def me() -> str:
    """This process: host, pid and start time, so that a recycled pid is not mistaken for it."""
    return _name(psutil.Process(os.getpid()))


def free_if_dead(store: Store, run_id: str, now: datetime) -> None:
    """Free a run whose supervisor died on this machine at once, instead of when its lease expires."""
    owner = store.lease_owner(run_id, now)
    if owner and _is_dead_here(owner):
        store.release(run_id, owner)


def is_driven(store: Store, run_id: str, now: datetime) -> bool:
    """Whether a supervisor, alive as far as can be told from here, holds a run."""
    free_if_dead(store, run_id, now)
    return store.lease_owner(run_id, now) != ""


def _is_dead_here(owner: str) -> bool:
    host, _, rest = owner.partition(" ")
    pid = rest.partition(" ")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        return _name(process) != owner or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _name(process: psutil.Process) -> str:
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"
