"""What a progress record says about a sweep's metric."""

from __future__ import annotations

import math

from spotwise.checkpoints.progress import ProgressEvent, ProgressRecord


def metric_of(record: ProgressRecord, metric: str) -> tuple[bool, float | None]:
    """Whether the record reports the metric at the end of an epoch, and its value; None for NaN and infinities."""
    if record.event is not ProgressEvent.PROGRESS or metric not in record.metrics:
        return False, None
    value = float(record.metrics[metric])
    return True, value if math.isfinite(value) else None
