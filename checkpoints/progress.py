"""Progress of a training process: an append-only file of JSON lines with one writer and any number of readers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from .json_lines import LogTail, decode_line, decode_lines
from .storage import locate_file


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

    def new(self) -> list[ProgressRecord]:
        """Records added since the last call, oldest first; [] while there is no file. Torn lines are passed over."""
        return decode_lines(self._tail.new(), _record_from)


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
    """The inverse of ``encode_metrics``."""
    return {name: value if isinstance(value, int | float) else float(value) for name, value in values.items()}


def _record_from(values: Any) -> ProgressRecord:
    moment = datetime.fromisoformat(values["time"])
    speed, memory, checkpoint = (values.get(key) for key in ("samples_per_second", "gpu_memory_gib", "checkpoint"))
    return ProgressRecord(
        event=ProgressEvent(values["event"]),
        time=moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC),
        attempt=int(values.get("attempt", 1)),
        host=str(values.get("host", "")),
        epoch=int(values.get("epoch", 0)),
        step=int(values.get("step", 0)),
        metrics=decode_metrics(values.get("metrics") or {}),
        samples_per_second=None if speed is None else float(speed),
        gpu_memory_gib=None if memory is None else float(memory),
        checkpoint=None if checkpoint is None else str(checkpoint),
    )
