"""The training process's writer of the progress file: stamps records, and never lets a full disk stop training."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import SupportsFloat

from .errors import SessionError, StorageError
from .gpu_memory import peak_gpu_memory_gib
from .progress import ProgressEvent, ProgressRecord, ProgressWriter
from .schedule import TrainingPosition

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The moment that records and manifests of this process bear."""
    return datetime.now(UTC)


class ProgressLog:
    """Writes records of one attempt on this host."""

    def __init__(self, url: str, *, attempt: int, enabled: bool = True) -> None:
        self._url = url
        self._writer = ProgressWriter(url) if enabled else None
        self._attempt = attempt
        self._host = socket.gethostname()

    def write(
        self,
        event: ProgressEvent,
        position: TrainingPosition,
        *,
        checkpoint: str | None,
        metrics: Mapping[str, float] | None = None,
        samples_per_second: float | None = None,
    ) -> None:
        """Add one record; a place that cannot be written to is a warning, since training matters more."""
        if self._writer is None:
            return
        record = ProgressRecord(
            event=event,
            time=utc_now(),
            attempt=self._attempt,
            host=self._host,
            epoch=position.epoch,
            step=position.step,
            metrics=metrics or {},
            samples_per_second=samples_per_second,
            gpu_memory_gib=peak_gpu_memory_gib(),
            checkpoint=checkpoint,
        )
        try:
            self._writer.write(record)
        except (OSError, StorageError) as fault:
            _log.warning("Progress cannot be written to %s, training goes on: %s", self._url, fault)


def as_metrics(values: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Numbers of any library (tensors of one element too) as Python's own. Raises ``SessionError`` for what is none."""
    return {name: _as_number(name, value) for name, value in values.items()}


def _as_number(name: str, value: SupportsFloat) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as fault:
        raise SessionError(f"The metric {name!r} must be one number, not {value!r}.") from fault
