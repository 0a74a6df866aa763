"""One nightly a model at a time: an advisory lock that the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import ExitCode, SpotwiseError, StoreError


class LockHeldError(SpotwiseError):
    """Another process holds the lock; it does the work, so there is nothing to do here."""

    exit_code = ExitCode.NOTHING_TO_DO


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file while the block runs. The file stays: removing it would let two holders in.

    Raises:
        LockHeldError: another process holds it.
        StoreError: the lock file cannot be opened.
    """
    with _open(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise LockHeldError(f"another nightly holds the lock (pid {pid})") from held
        with suppress(OSError):  # a full disk: the pid only serves the message above
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield


@contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as fault:
        raise StoreError(
            f"{path}: cannot be opened ({fault.strerror}); check SPOTWISE_HOME and its permissions"
        ) from fault
    try:
        yield descriptor
    finally:
        os.close(descriptor)
