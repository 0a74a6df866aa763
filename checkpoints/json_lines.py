"""Append-only logs of JSON objects, one a line, with one writer and any number of readers.

A crash or a full disk may leave the last line torn. The next writer ends it first, so that its own line is whole, and
readers pass over every line that is not one of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from .strict_json import LONGEST_BYTES, Fields, UnreadableError

_CHUNK_BYTES = 4 * LONGEST_BYTES  # of a log that are in memory at a time

Record = TypeVar("Record")


class ReadableStorage(Protocol):
    """Where a log lies; see ``storage.Storage``."""

    def size(self, name: str) -> int: ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes: ...


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


class SkippedLines:
    """Which lines of one log could not be read, so that a person can be told once."""

    def __init__(self) -> None:
        self._read = 0  # lines
        self._first = ""

    def count(self, fault: UnreadableError | None) -> None:
        """One more line was looked at; ``fault``: why it cannot be read."""
        self._read += 1
        if fault is not None and not self._first:
            self._first = f"line {self._read} cannot be read and is passed over: {fault}"

    @property
    def first(self) -> str:
        """The first of them and why, for people, the same however often the log is read; "" where there is none."""
        return self._first


def first_skipped(logs: Mapping[str, SkippedLines]) -> str:
    """Of several logs by name the first one's first unreadable line, for people; "" where all could be read."""
    return next((f"{name}: {log.first}" for name, log in sorted(logs.items()) if log.first), "")


def decode_lines(data: bytes, decode: Callable[[Fields], Record], skipped: SkippedLines | None = None) -> list[Record]:
    """The records in a log's bytes, oldest first.

    Args:
        data: some lines; the last one counts too where it is whole but for its line end.
        decode: makes a record of a line's fields, and raises ``UnreadableError`` for what is none of its own.
        skipped: is told of each line.
    """
    records = (_decoded(line, decode, skipped) for line in data.splitlines())
    return [record for record in records if record is not None]


def decode_line(line: bytes, decode: Callable[[Fields], Record]) -> Record | None:
    """The record of one line; None where it is torn or not one of ``decode``'s own."""
    return _decoded(line, decode, None)


class LogTail:
    """Follows a log: each call of ``new`` reads only what was added since the last one."""

    def __init__(self, storage: ReadableStorage, name: str, *, may_be_replaced: bool = False) -> None:
        """``may_be_replaced``: whether a log that is shorter than before is another one, to be read from its start."""
        self._storage, self._name, self._may_be_replaced = storage, name, may_be_replaced
        self._read = 0  # bytes of whole lines
        self._in_endless_line = False  # the line there is longer than any of ours, and its beginning was dropped

    def new(self) -> bytes:
        """Whole lines added since the last call, at most some megabytes of them: call again until there are none.

        Empty while there is no file. Raises what the storage raises.
        """
        try:
            size = self._storage.size(self._name)
            if size < self._read and self._may_be_replaced:
                self._read, self._in_endless_line = 0, False
            whole = b""
            while not whole and self._read < size:
                data = self._storage.read(self._name, self._read, _CHUNK_BYTES)
                if b"\n" not in data and len(data) < _CHUNK_BYTES:
                    break  # it is still being written, or torn
                whole = self._whole_lines(data)
        except FileNotFoundError:
            return b""
        return whole

    def _whole_lines(self, data: bytes) -> bytes:
        """What of ``data`` can be decoded; moves on behind it. An endless line's beginning stands for all of it."""
        end = data.rfind(b"\n") + 1
        whole = data[:end] or data[: LONGEST_BYTES + 1] + b"\n"
        if self._in_endless_line:
            whole = data[data.find(b"\n") + 1 : end]
        self._in_endless_line = end == 0
        self._read += end or len(data)
        return whole


def _decoded(line: bytes, decode: Callable[[Fields], Record], skipped: SkippedLines | None) -> Record | None:
    fault: UnreadableError | None = None
    record: Record | None = None
    try:
        record = decode(Fields.of(line)) if line.strip() else None
    except UnreadableError as error:
        fault = error
    if skipped is not None:
        skipped.count(fault)
    return record


def _write_all(descriptor: int, data: bytes) -> None:
    while data:  # a nearly full disk takes a part first and fails on the rest
        data = data[os.write(descriptor, data) :]
