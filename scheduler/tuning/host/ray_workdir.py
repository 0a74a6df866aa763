"""Where Ray keeps its own files while a host runs, and what a killed host left there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from ...node_agent.processes import descendants, kill_all
from .process_id import note_processes, noted_processes

_HELPERS = "helpers.json"


class RayWorkdir:
    """A folder of this machine for one host. Its path is short: a Unix socket's may have 107 characters only."""

    def __init__(self, run_folder: str, host: int = 0) -> None:
        self._base = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - the shortest
        self._name = "sw-" + hashlib.sha256(f"{os.path.realpath(run_folder)}#{host}".encode()).hexdigest()[:10]
        self.path = self._base / f"{self._name}-{os.getpid()}"

    def create(self) -> None:
        """Make the folder, after removing what this run's killed hosts left: files, and helper processes of Ray's."""
        for old in self.existing():
            for helper in noted_processes(old / _HELPERS) or []:
                helper.kill()
            shutil.rmtree(old, ignore_errors=True)
        self.path.mkdir(mode=0o700)

    def existing(self) -> list[Path]:
        """The folders of this run's hosts, this one's too."""
        return sorted(self._base.glob(f"{self._name}-*"))

    def note_helpers(self) -> None:
        """Write down which processes Ray started: after kill -9 of this one, some live on for a minute."""
        note_processes(self.path / _HELPERS, descendants())

    def remove(self) -> None:
        """End all processes that this one started, and remove the folder, with what stragglers of killed hosts left."""
        kill_all(descendants)
        for _ in range(10):  # what dies may still write
            for folder in self.existing():
                shutil.rmtree(folder, ignore_errors=True)
            if not self.existing():
                return
            time.sleep(0.05)
