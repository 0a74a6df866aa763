"""Append-only logs of JSON objects, one a line, with one writer and any number of readers.

A crash or a full disk may leave the last line torn. The next writer ends it first, so that its own line is whole, and
readers pass over every line that is not one of theirs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)  # what decoding a torn or foreign line raises

Record = TypeVar("Record")


class ReadableStorage(Protocol):
    """Where a log lies; see ``storage.Storage``."""

    def size(self, name: str) -> int: ...

    def read(self, name: str, start: int = 0) -> bytes: ...


def append_line(path: Path, line: bytes, *, durable: bool = False) -> None:
    """Add one line to a file of this machine, which is made if missing.

    Args:
        line: with or without a line end.
        durable: whether it is on the disk on return; else a power cut may lose it.

    Raises:
        OSError: it could not be written, or only a part of it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        _write_all(descriptor, line_after(os.pread(descriptor, 1, size - 1) if size else b"", line))
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def line_after(before: bytes, line: bytes) -> bytes:
    """What to write behind ``before``, the end of a log, so that ``line`` is a line of its own."""
    is_torn = not before.endswith(b"\n") if before else False
    return (b"\n" if is_torn else b"") + line.rstrip(b"\n") + b"\n"


def decode_lines(data: bytes, decode: Callable[[Any], Record]) -> list[Record]:
    """The records in a log's bytes, oldest first.

    Args:
        data: some lines; the last one counts too where it is whole but for its line end.
        decode: makes a record of a line's JSON value, and raises one of ``UNREADABLE`` for what is none of its own.
    """
    records = (decode_line(line, decode) for line in data.splitlines())
    return [record for record in records if record is not None]


def decode_line(line: bytes, decode: Callable[[Any], Record]) -> Record | None:
    """The record of one line; None where it is torn or not one of ``decode``'s own."""
    try:
        return decode(json.loads(line))
    except UNREADABLE:
        return None


class LogTail:
    """Follows a log: each call of ``new`` reads only what was added since the last one."""

    def __init__(self, storage: ReadableStorage, name: str, *, may_be_replaced: bool = False) -> None:
        """``may_be_replaced``: whether a log that is shorter than before is another one, to be read from its start."""
        self._storage, self._name, self._may_be_replaced = storage, name, may_be_replaced
        self._read = 0  # bytes of whole lines

    def new(self) -> bytes:
        """The whole lines added since the last call; empty while there is no file. Raises what the storage raises."""
        data = self._unread()
        whole = data[: data.rfind(b"\n") + 1]  # the rest is still being written, or torn
        self._read += len(whole)
        return whole

    def _unread(self) -> bytes:
        try:
            size = self._storage.size(self._name)
            if size < self._read and self._may_be_replaced:
                self._read = 0
            return self._storage.read(self._name, self._read) if size > self._read else b""
        except FileNotFoundError:
            return b""


def _write_all(descriptor: int, data: bytes) -> None:
    while data:  # a nearly full disk takes a part first and fails on the rest
        data = data[os.write(descriptor, data) :]
