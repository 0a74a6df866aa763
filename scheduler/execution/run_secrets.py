"""A run's secrets: beside the run until it ends, for its owner's eyes only, and never in the store.

A process can be killed at any moment. So they are written under another name at first, which says in which store the
run is to be, and whoever submits holds a lock on the run's folder until it is there. What has that name, is not locked
and belongs to no run of the store is left over; so are the secrets of a run that has ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic

from ..core.errors import NotFoundError, UnreadableRunError
from ..core.run import Run
from ..store import Store

_NAME = "secrets.json"


def read_secrets(run: Run) -> dict[str, str]:
    """The values of a run's secrets by name; none once the run has ended."""
    folder = Path(run.folder)
    for path in (folder / _NAME, *folder.glob(_pending("*"))):  # the latter: who submitted it died at the last step
        try:
            values: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        return values
    return {}


@contextmanager
def secrets_of_submission(run: Run, values: Mapping[str, str], store_url: str) -> Iterator[None]:
    """Keep them for the run's attempts, once the block has put the run into the store; not if it fails."""
    folder = Path(run.folder)
    pending = folder / _pending(_digest(store_url))
    with _locked(folder):
        if values:
            write_atomic(pending, json.dumps(dict(values)), mode=0o600)
        try:
            yield
        except BaseException:
            pending.unlink(missing_ok=True)
            raise
        if values:
            pending.replace(folder / _NAME)


def forget_secrets(run: Run) -> None:
    """The run has ended."""
    for path in Path(run.folder).glob(f"*{_NAME.partition('.')[0]}*.json*"):
        path.unlink(missing_ok=True)


def remove_left_over(store: Store, store_url: str, home: Path) -> list[Path]:
    """Remove what a killed process left of secrets that nobody needs any more; returns the files.

    Raises:
        StoreError: the store cannot be read.
    """
    left = [path for path in (home / "runs").glob(f"*/{_NAME}") if _has_ended(store, path.parent.name)]
    pending = (home / "runs").glob(f"*/*{_pending(_digest(store_url))}*")
    left += [path for path in pending if not _is_locked(path.parent) and not _is_active(store, path.parent.name)]
    for path in left:
        path.unlink(missing_ok=True)
    return left


def _pending(digest: str) -> str:
    return f".secrets.{digest}.json"


def _digest(store_url: str) -> str:
    return hashlib.sha256(store_url.encode()).hexdigest()[:12]


def _has_ended(store: Store, run_id: str) -> bool:
    """False also of a run that this store does not know: it may be another's."""
    try:
        return store.run(run_id).state.is_final
    except (NotFoundError, UnreadableRunError):
        return False


def _is_active(store: Store, run_id: str) -> bool:
    try:
        return not store.run(run_id).state.is_final
    except NotFoundError:
        return False
    except UnreadableRunError:
        return True  # nobody knows: it may need them


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_locked(folder: Path) -> bool:
    """Looked at before the store: a run whose lock is free is in the store by then, or never comes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
