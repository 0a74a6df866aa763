"""Whatever a crash leaves at the end of a log, other lines stay whole, and a reader sees each of them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spotwise.checkpoints import json_lines
from spotwise.checkpoints.json_lines import (
    LogTail,
    SkippedLines,
    append_line,
    decode_line,
    decode_lines,
    first_skipped,
)
from spotwise.checkpoints.storage import LocalStorage
from spotwise.checkpoints.strict_json import Fields

LINE = b'{"n": 1}'


def number(fields: Fields) -> int:
    return fields.whole("n")


@pytest.mark.parametrize("torn_at", range(len(LINE) + 1))
def test_a_line_torn_anywhere_is_ended_by_the_next_writer_and_costs_only_itself(tmp_path: Path, torn_at: int) -> None:
    log = tmp_path / "log"
    append_line(log, b'{"n": 0}')
    with log.open("ab") as file:
        file.write(LINE[:torn_at])
    append_line(log, b'{"n": 2}\n')
    expected = [0, 1, 2] if torn_at == len(LINE) else [0, 2]
    assert decode_lines(log.read_bytes(), number) == expected
    assert log.read_bytes().endswith(b'\n{"n": 2}\n')


@pytest.mark.parametrize("line", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b'{"m": 1}', b'{"n": 1'])
def test_a_line_of_somebody_else_is_no_record(line: bytes) -> None:
    assert decode_line(line, number) is None


def test_a_disk_that_takes_a_part_gets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    append_line(tmp_path / "log", LINE)
    assert (tmp_path / "log").read_bytes() == LINE + b"\n"


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_line_is_on_the_disk_on_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    append_line(tmp_path / "log", LINE, durable=durable)
    assert len(synced) == durable


@pytest.mark.parametrize(("may_be_replaced", "expected"), [(True, b"b\n"), (False, b"")])
def test_a_shorter_log_is_another_one_only_where_logs_may_be_replaced(
    tmp_path: Path, may_be_replaced: bool, expected: bytes
) -> None:
    tail = LogTail(LocalStorage(tmp_path), "log", may_be_replaced=may_be_replaced)
    assert tail.new() == b""
    (tmp_path / "log").write_bytes(b"one\ntwo\nthr")
    assert tail.new() == b"one\ntwo\n"
    assert tail.new() == b""
    (tmp_path / "log").write_bytes(b"b\n")
    assert tail.new() == expected


def test_a_line_without_end_is_passed_over_and_the_lines_behind_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_CHUNK_BYTES", 64)
    log, tail, skipped = tmp_path / "log", LogTail(LocalStorage(tmp_path), "log"), SkippedLines()
    found: list[int] = []
    for piece in (b'{"n": 1}\n{"n": ' + b"1" * 40, b"1" * 300, b'1}\n{"n": 2}\n', b'{"n": 3}\n'):
        with log.open("ab") as file:
            file.write(piece)
        while data := tail.new():
            assert len(data) <= 65
            found += decode_lines(data, number, skipped)
    assert found == [1, 2, 3]
    assert skipped.first.startswith("line 2 ")


def test_the_first_unreadable_line_is_told_with_its_number_and_why() -> None:
    skipped = SkippedLines()
    decode_lines(b'{"n": 1}\n\n{"n": "x"}\n{"m"\n', number, skipped)
    assert skipped.first == "line 3 cannot be read and is passed over: 'n' is not a whole number from 0 to 2147483647"
    assert first_skipped({"b": skipped, "a": SkippedLines()}) == f"b: {skipped.first}"
