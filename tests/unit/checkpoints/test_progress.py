"""The progress file: one writer, many readers, crashes at any byte."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spotwise.checkpoints import ProgressEvent, ProgressReader, ProgressRecord, ProgressWriter, read_progress
from spotwise.checkpoints.progress import decode_record, encode_record

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(epoch: int, **changes: object) -> ProgressRecord:
    return ProgressRecord(ProgressEvent.PROGRESS, NOON, epoch=epoch, **changes)


def test_what_is_written_is_read() -> None:
    full = record(
        3, attempt=2, host="a", step=120, metrics={"acc": 0.9, "n": 3}, samples_per_second=8.5, gpu_memory_gib=3.25
    )
    assert decode_record(encode_record(full)) == full


def test_lines_have_the_documented_keys() -> None:
    assert list(json.loads(encode_record(record(1)))) == [
        "event", "time", "attempt", "host", "epoch", "step", "metrics", "samples_per_second", "gpu_memory_gib",
        "checkpoint",
    ]  # fmt: skip


def test_integers_stay_integers_and_floats_stay_exact() -> None:
    metrics = decode_record(encode_record(record(1, metrics={"n": 3, "x": 0.1 + 0.2}))).metrics
    assert (type(metrics["n"]), metrics["x"]) == (int, 0.1 + 0.2)


def test_a_diverged_metric_is_valid_json_and_comes_back() -> None:
    line = encode_record(record(1, metrics={"loss": math.nan, "worst": -math.inf}))
    json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    metrics = decode_record(line).metrics
    assert math.isnan(metrics["loss"])
    assert metrics["worst"] == -math.inf


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b'{"event": "dance"}', b"\xff", b'{"event": "progress"}'])
def test_a_line_that_is_not_ours_is_none(line: bytes) -> None:
    assert decode_record(line) is None


def test_no_file_is_no_progress(tmp_path: Path) -> None:
    assert read_progress(str(tmp_path / "none" / "progress.jsonl")) == []


@pytest.mark.parametrize("torn_at", range(1, len(encode_record(record(2))) + 1, 7))
def test_a_line_torn_at_any_byte_costs_only_itself(tmp_path: Path, torn_at: int) -> None:
    url = str(tmp_path / "progress.jsonl")
    ProgressWriter(url).write(record(1))
    with Path(url).open("ab") as stream:
        stream.write(encode_record(record(2))[:torn_at])
    ProgressWriter(url).write(record(3))
    assert [one.epoch for one in read_progress(url)] in ([1, 3], [1, 2, 3])


def test_a_reader_reads_each_line_once_and_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    reader, line = ProgressReader(str(path)), encode_record(record(1))
    assert reader.new() == []
    path.write_bytes(line[:20])
    assert reader.new() == []
    path.write_bytes(line + b"\n")
    assert [one.epoch for one in reader.new()] == [1]
    assert reader.new() == []


def test_a_reader_starts_over_when_the_file_is_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    url = str(tmp_path / "progress.jsonl")
    reader = ProgressReader(url)
    for epoch in (1, 2):
        ProgressWriter(url).write(record(epoch))
    reader.new()
    Path(url).unlink()
    ProgressWriter(url).write(record(9))
    assert [one.epoch for one in reader.new()] == [9]
