"""Progress of a training process: an append-only file of JSON lines with one writer and any number of readers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from .json_lines import LogTail, SkippedLines, decode_line, decode_lines
from .storage import locate_file
from .strict_json import LARGEST_WHOLE, NOT_FINITE_TEXTS, Fields, UnreadableError


class ProgressEvent(StrEnum):
    """What a line of the progress file tells."""

    STARTED = "started"  # restored, about to train from (epoch, step); checkpoint = what was restored
    PROGRESS = "progress"  # an epoch is done
    CHECKPOINT = "checkpoint"  # a checkpoint is committed
    STOPPING = "stopping"  # told to leave; everything done is saved; exits with EXIT_PREEMPTED
    FINISHED = "finished"  # all epochs are done and the last checkpoint is committed


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """One line of the progress file."""

    event: ProgressEvent
    time: datetime  # UTC
    attempt: int = 1
    host: str = ""
    epoch: int = 0  # epochs completed
    step: int = 0  # steps completed, over all epochs
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples_per_second: float | None = None
    gpu_memory_gib: float | None = None  # the most that tensors on one GPU of this process have held so far
    checkpoint: str | None = None  # name of the last committed checkpoint


class ProgressWriter:
    """Adds records to a progress file. One writer a file."""

    def __init__(self, url: str) -> None:
        self._storage, self._name = locate_file(url)

    def write(self, record: ProgressRecord) -> None:
        """Add one record. Raises ``OSError`` or ``StorageError``; a part of the line may then be in the file."""
        self._storage.append_line(self._name, encode_record(record))


class ProgressReader:
    """Follows a progress file: each call of ``new`` reads only what was added since the last one."""

    def __init__(self, url: str) -> None:
        self._tail = LogTail(*locate_file(url), may_be_replaced=True)
        self.skipped = SkippedLines()  # lines that were no records, so far

    def new(self) -> list[ProgressRecord]:
        """Records added since the last call, oldest first; [] while there is no file. Torn lines are passed over."""
        records: list[ProgressRecord] = []
        while lines := self._tail.new():
            records += decode_lines(lines, _record_from, self.skipped)
        return records


def read_progress(url: str) -> list[ProgressRecord]:
    """All records of a progress file, oldest first; [] when there is none."""
    return ProgressReader(url).new()


def says_finished(records: Iterable[ProgressRecord]) -> bool:
    """Whether all training is done, as the program said itself; what was trained after that takes it back.

    Args:
        records: those of one run, of all its attempts, oldest first. An attempt that only exports what an earlier one
            has finished need not say it again.
    """
    finished = False
    for record in records:
        if record.event in (ProgressEvent.FINISHED, ProgressEvent.PROGRESS):
            finished = record.event is ProgressEvent.FINISHED
    return finished


def encode_record(record: ProgressRecord) -> bytes:
    """One JSON object without a line end. NaN and infinities, which JSON has not, become texts."""
    values = asdict(record)
    values["time"] = record.time.astimezone(UTC).isoformat()
    values["metrics"] = encode_metrics(record.metrics)
    for name in ("samples_per_second", "gpu_memory_gib"):
        values[name] = None if values[name] is None else round(values[name], 3)
    return json.dumps(values, allow_nan=False).encode()


def decode_record(line: bytes) -> ProgressRecord | None:
    """The record of one line, or None where the line is torn or not one of ours."""
    return decode_line(line, _record_from)


def encode_metrics(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as JSON can hold them: numbers, and "nan", "inf", "-inf"."""
    return {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}


def decode_metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """The inverse of ``encode_metrics``. Raises ``UnreadableError`` for what is no number."""
    return {name: _metric(name, value) for name, value in values.items()}


def _metric(name: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value in NOT_FINITE_TEXTS:
        return float(value)
    raise UnreadableError(f"the metric {name!r} is no number")


def _record_from(fields: Fields) -> ProgressRecord:
    return ProgressRecord(
        event=fields.member("event", ProgressEvent),
        time=fields.moment("time"),
        attempt=fields.whole("attempt", 1),
        host=fields.text("host", ""),
        epoch=fields.whole("epoch", 0),
        step=fields.whole("step", 0, high=LARGEST_WHOLE),
        metrics=decode_metrics(fields.object("metrics")),
        samples_per_second=fields.optional_number("samples_per_second", low=0),
        gpu_memory_gib=fields.optional_number("gpu_memory_gib", low=0),
        checkpoint=fields.optional_text("checkpoint"),
    )
