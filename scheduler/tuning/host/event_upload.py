"""A study's events at the run's URL, for hosts whose own disk dies with them."""

from __future__ import annotations

import time
from collections.abc import Callable

from spotwise.checkpoints import CheckpointError, storage_for

RETRY_S = 2.0


class EventUpload:
    """Puts a host's file there, whole, before anything follows from what it says."""

    def __init__(self, run_url: str, say: Callable[[str], None]) -> None:
        self._storage, self._say = storage_for(run_url), say

    def __call__(self, name: str, data: bytes) -> None:
        """Returns when it is there. While the place is away the sweep waits; its trials go on."""
        told = False
        while True:
            try:
                self._storage.put(f"study/{name}", data)
            except (OSError, CheckpointError) as fault:
                if not told:
                    self._say(f"{self._storage.url} cannot be written: {fault}; the sweep waits for it")
                told = True
                time.sleep(RETRY_S)
            else:
                return
