"""How far a training is, by what it reports: epochs or steps as a share of all of its work. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from spotwise.checkpoints import ProgressEvent, ProgressRecord

from ..core.work_point import WorkPoint
from .time_spans import KEPT_EVENTS


class WorkPoints:
    """Follows a training's records, since how many steps an epoch has is known once one is over."""

    def __init__(self, epochs: int | None, steps: int | None) -> None:
        """Of all work; None where the job file does not say. Where it says both, steps count: they are finer."""
        self._epochs, self._steps = epochs, steps
        self._steps_an_epoch = 0.0
        self.points: list[WorkPoint] = []

    def add(self, records: Sequence[ProgressRecord]) -> None:
        """Take what was reported since the last call, oldest first."""
        for record in records:
            if record.event is ProgressEvent.PROGRESS and record.epoch and record.step:
                self._steps_an_epoch = record.step / record.epoch
            kept = record.event in KEPT_EVENTS
            position = (record.epoch, record.step)
            self.points.append(WorkPoint(record.attempt, record.time, self._share(record), kept, position))

    def _share(self, record: ProgressRecord) -> float | None:
        if self._steps:
            return min(1.0, record.step / self._steps)
        if not self._epochs:
            return None
        begun = record.step - record.epoch * self._steps_an_epoch
        of_an_epoch = min(max(begun / self._steps_an_epoch, 0.0), 1.0) if self._steps_an_epoch else 0.0
        return min(1.0, (record.epoch + of_an_epoch) / self._epochs)
