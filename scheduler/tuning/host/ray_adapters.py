"""Ray Tune's two questions, what to try and whether to go on, passed to the live sweep."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from .sweep import LiveSweep, TrialExit


class StudySearcher(Searcher):
    """Hands out trials of the live sweep: unfinished ones first, under their old numbers."""

    def __init__(self, sweep: LiveSweep, task_file: Path) -> None:
        super().__init__()
        self._sweep, self._task_file = sweep, str(task_file)
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A trial's config; None if none may start now. Ray marks the end by a string that its types do not know."""
        trial = self._sweep.take()
        if trial is None:
            return cast("dict[str, Any]", Searcher.FINISHED) if self._sweep.is_over else None
        self._numbers[trial_id] = trial.number
        return {"task": self._task_file, "trial": trial.number, "params": json.dumps(trial.params)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """An error is one of Ray's own, such as a killed worker: what the command does arrives as a result."""
        number = self._numbers.pop(trial_id, None)
        if number is not None and error:
            self._sweep.lost(number)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study's events are."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class StudyScheduler(FIFOScheduler):
    """Records what workers report and stops trials as the live sweep decides."""

    def __init__(self, sweep: LiveSweep) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray's
        self._sweep = sweep

    def on_trial_result(self, tune_controller: object, trial: Any, result: dict[str, Any]) -> str:
        number, at = int(trial.config["trial"]), datetime.fromisoformat(result["at"])
        goes_on = True
        if result["kind"] == "started":
            self._sweep.started(number, at)
        elif result["kind"] == "epoch":
            goes_on = not self._sweep.reported(number, result["epoch"], result["value"], at).stop
        elif result["kind"] == "exit":
            goes_on = self._sweep.exited(number, TrialExit(result["code"], at, result["tail"], tuple(result["seen"])))
        return str(self.CONTINUE if goes_on else self.STOP)
