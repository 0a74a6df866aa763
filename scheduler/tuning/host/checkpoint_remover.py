"""Removes checkpoints of trials that will not go on, beside the sweep: a slow storage must not hold it up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from spotwise.checkpoints.errors import StorageError
from spotwise.checkpoints.removal import remove_checkpoints
from spotwise.checkpoints.storage import storage_for

from ..study.study_state import Study
from ..study.sweep_task import SweepTask
from ..study.trial_checkpoints import surplus_trials, trial_checkpoints_url


class CheckpointRemover:
    """Of one host. What a host that was killed has not removed, the next one does: it asks for all of it again."""

    def __init__(self, task: SweepTask, say: Callable[[str], None]) -> None:
        self._task, self._say = task, say
        self._pool = ThreadPoolExecutor(1)
        self._asked: dict[int, Future[None]] = {}  # by trial
        self._seen: Study | None = None

    def follow(self, study: Study) -> None:
        """Have removed what this study no longer needs. Returns at once."""
        if study is self._seen:
            return
        self._seen = study
        for number in sorted(surplus_trials(study, self._task) - self._asked.keys()):
            self._asked[number] = self._pool.submit(self._remove, number)

    def wait(self) -> None:
        """Until all that was asked for is done."""
        for asked in self._asked.values():
            asked.result()

    def _remove(self, number: int) -> None:
        url = trial_checkpoints_url(self._task.folder, self._task.checkpoint_to, number)
        try:
            remove_checkpoints(storage_for(url))
        except (OSError, StorageError) as fault:  # `spotwise gc --checkpoints` tries again
            self._say(f"checkpoints of trial {number} stay, as they cannot be removed: {fault}")
