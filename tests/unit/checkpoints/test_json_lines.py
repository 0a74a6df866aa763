"""Whatever a crash leaves at the end of a log, other lines stay whole, and a reader sees each of them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spotwise.checkpoints.json_lines import LogTail, append_line, decode_line, decode_lines
from spotwise.checkpoints.storage import LocalStorage

LINE = b'{"n": 1}'


def number(values: dict[str, int]) -> int:
    return values["n"]


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
