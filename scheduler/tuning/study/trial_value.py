"""What a trial is worth to its sweep. Pure."""

from __future__ import annotations

from .study_state import TrialView
from .sweep_task import SweepTask


def value_at_end(trial: TrialView, task: SweepTask) -> float | None:
    """Of a trial that ends: its last epoch's metric, or that of its best epoch where the sweep asks for that.

    None where no epoch had a finite one.
    """
    if not task.by_best_epoch:
        return trial.value
    return max((value for _, value in trial.curve), key=lambda value: value * task.sign, default=None)
