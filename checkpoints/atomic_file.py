"""Files that appear whole or not at all: written beside, then renamed over; and what makes them durable.

A writer that is killed leaves a draft named ``.<name>.<random>.tmp`` beside the file, and the file as it was.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)  # some network drives sync files only


def write_atomic(path: Path, data: bytes | str, *, durable: bool = True, mode: int | None = None) -> None:
    """Replace the file: a reader sees the old one or the new one, also where several write it at once.

    Args:
        data: its whole content; a text is written as UTF-8, line ends as they are.
        durable: whether file and name are on the disk on return; else a power cut may lose both.
        mode: its permissions, from its first byte on; None: what the process' umask leaves to others.

    Raises:
        OSError: it could not be written. The file is as it was, and no draft is left.
    """
    draft = _draft_of(path)
    try:
        _write_draft(draft, data, durable, mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)  # it is there only where a step failed
    if durable:
        sync_folder(path.parent)


def write_once(path: Path, data: bytes | str, *, mode: int | None = None) -> bool:
    """Write the file durably unless it exists; False if somebody else was first. Raises OSError."""
    draft = _draft_of(path)
    try:
        _write_draft(draft, data, durable=True, mode=mode)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


@contextmanager
def durable_stream(path: Path) -> Iterator[BinaryIO]:
    """Write a file from its start; on the disk once the block is left. A crash may leave a part of it."""
    with path.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _draft_of(path: Path) -> Path:
    """A name for this writer alone: two that share one write into each other's finished file."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _write_draft(draft: Path, data: bytes | str, durable: bool, mode: int | None) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)  # the umask may have taken more
        file.write(data.encode() if isinstance(data, str) else data)
        if durable:
            file.flush()
            os.fsync(descriptor)
