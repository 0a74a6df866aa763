"""Where checkpoints and progress live: a folder on this machine, or any URL that fsspec opens.

Names are relative to the storage's URL and use ``/``. Every fault is an ``OSError`` (``FileNotFoundError`` for what is
not there) or, for faults that a cloud's client does not report as ``OSError``, a ``StorageError``.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from .atomic_file import durable_stream, sync_folder, write_atomic
from .json_lines import append_line

_NO_FILE = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENXIO, errno.ENODEV)  # what opening one says


class Storage(Protocol):
    """What checkpoints need of a file system. ``tests/contract`` runs one suite on every implementation."""

    @property
    def url(self) -> str: ...

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file as a stream; durable once the block is left. A crash may leave a part of it."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a file that appears whole or not at all, also where several write it at once.

        It, and all files created beside it, are durable on return.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """The file's content, seekable. Raises ``NoFileError`` for what is there and is no file."""
        ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The file's bytes from ``start`` on, at most ``length``; empty when ``start`` is at its end or beyond."""
        ...

    def holds(self, name: str) -> bool:
        """Whether the name stays below the URL, or is not there, also where links have been followed."""
        ...

    def size(self, name: str) -> int:
        """The file's size in bytes."""
        ...

    def append_line(self, name: str, line: bytes) -> None:
        """Add one line. Starts on a new line even where a crash has left a torn one at the end."""
        ...

    def folders(self) -> list[str]:
        """Names of the folders directly under the URL, sorted; empty when there is nothing yet."""
        ...

    def files(self, folder: str) -> dict[str, int]:
        """All files at any depth below a folder: name relative to the URL -> bytes; {} when there is none."""
        ...

    def delete(self, name: str) -> None:
        """Delete one file, durably. Nothing happens when it is not there."""
        ...

    def remove(self, folder: str) -> None:
        """Remove a folder with everything in it. Nothing happens when it is not there."""
        ...


class NoFileError(OSError):
    """There is something under the name that is no file: a folder, a pipe, a device, a link to itself."""


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading, without waiting at a pipe for somebody who writes.

    Raises ``NoFileError`` for anything else that is there, ``OSError`` where it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        if fault.errno in _NO_FILE:
            raise NoFileError(fault.errno, f"{path} is no file") from fault
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoFileError(errno.EINVAL, f"{path} is no file")
    return os.fdopen(descriptor, "rb")


class LocalStorage:
    """A folder on this machine (or on a mounted network drive)."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()  # a program may change its folder later

    @property
    def url(self) -> str:
        return str(self._root)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable_stream(path) as stream:
            yield stream

    def put(self, name: str, data: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        sync_folder(self._root)  # the folder's own entry, when it is new

    def open(self, name: str) -> BinaryIO:
        return open_file(self._root / name)

    def holds(self, name: str) -> bool:
        try:
            return (self._root / name).resolve().is_relative_to(self._root.resolve())
        except (OSError, RuntimeError):  # links in a circle
            return False

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        with self.open(name) as stream:
            stream.seek(start)
            return stream.read(-1 if length is None else length)

    def size(self, name: str) -> int:
        return (self._root / name).stat().st_size

    def append_line(self, name: str, line: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        append_line(path, line)

    def folders(self) -> list[str]:
        if not self._root.exists():
            return []
        return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())

    def files(self, folder: str) -> dict[str, int]:
        found = {}
        for path in sorted((self._root / folder).rglob("*")):
            with suppress(FileNotFoundError):  # gone meanwhile: files are replaced under our eyes
                if path.is_file():
                    found[path.relative_to(self._root).as_posix()] = path.stat().st_size
        return found

    def delete(self, name: str) -> None:
        path = self._root / name
        path.unlink(missing_ok=True)
        if path.parent.exists():
            sync_folder(path.parent)

    def remove(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)


def storage_for(url: str) -> Storage:
    """The storage behind a path, a ``file://`` URL or any URL that fsspec knows (``s3://``, ``gs://``, ``memory://``)."""
    scheme = urlsplit(url).scheme
    if "://" not in url:
        return LocalStorage(Path(url).expanduser())
    if scheme == "file":
        return LocalStorage(Path(unquote(urlsplit(url).path)))
    from .remote import RemoteStorage

    return RemoteStorage(url)


def locate_file(url: str) -> tuple[Storage, str]:
    """The storage of a file's folder, and the file's name in it."""
    folder, _, name = url.rpartition("/")
    if folder.endswith(":/"):  # "memory://file": the root is the folder
        return storage_for(folder + "/"), name
    return storage_for(folder or ("/" if url.startswith("/") else ".")), name
