"""Where an agent runs, and for which attempt: all that its environment tells it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spotwise.checkpoints.lent_packages import PACKAGES_VARIABLE, packages_of_this_python
from spotwise.checkpoints.storage import storage_for

from .log_message import StorageNotSeen
from .node_name import NodeName
from .task import NodeTask, NodeTaskError, StorageNotSeenError
from .timeouts import Timeouts, patiently


@dataclass(frozen=True, slots=True)
class Place:
    """One node of one attempt."""

    run_url: str
    node: NodeName
    home: Path  # for what stays on this machine
    library: str  # a folder with our package, for programs that import it
    timeouts: Timeouts

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Place:
        """Raises `NodeTaskError` where the environment is not that of an attempt."""
        try:
            node = NodeName(
                attempt_id=environ["SPOTWISE_ATTEMPT_ID"],
                number=int(environ["SPOTWISE_ATTEMPT"]),
                rank=int(environ.get("SKYPILOT_NODE_RANK") or "0"),
            )
            home = Path(environ.get("SPOTWISE_NODE_HOME") or "~/.spotwise").expanduser()
            library, timeouts = environ.get("SPOTWISE_LIBRARY", ""), Timeouts.from_env(environ)
            return cls(environ["SPOTWISE_RUN_URL"], node, home, library, timeouts)
        except (KeyError, ValueError) as error:
            raise NodeTaskError(f"not the environment of an attempt ({error}): only engines start this") from error

    @property
    def scratch(self) -> Path:
        """For copies of the run's files, where they lie behind a URL. Several nodes may share a home."""
        return self.home / "attempts" / f"{self.node.attempt_id}-{self.node.rank}"

    @property
    def lock(self) -> Path:
        """Held by the agent of this node of the attempt."""
        return self.home / "locks" / f"{self.node.attempt_id}-{self.node.rank}.lock"

    def task(self) -> NodeTask:
        """What this attempt's nodes are to do. Raises `NodeTaskError`, or what the storage raises."""
        name = f"{self.node.attempt}/request.json"
        try:
            data = patiently(partial(storage_for(self.run_url).read, name), self.timeouts.fetch_s)
        except FileNotFoundError as error:
            raise StorageNotSeenError(StorageNotSeen(platform.node(), f"{self.run_url}/{name}")) from error
        return NodeTask.from_json(data, source=f"{self.run_url}/{name}")

    def environment(self, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
        """What the program finds: the job's own, places on this node, and our package without installing it."""
        python_path = (self.library, environ.get("PYTHONPATH", ""))
        return {
            **environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(entry for entry in python_path if entry),
            "SPOTWISE_PYTHON": sys.executable,
            PACKAGES_VARIABLE: packages_of_this_python(),
            "SPOTWISE_RUN_FOLDER": str(folder),
            "SPOTWISE_PROGRESS_URL": str(folder / "progress.jsonl"),
            "SPOTWISE_WORKDIR": str(Path.cwd()),
            "SPOTWISE_SAVE_REQUEST": str(self.save_request(folder)),
        }

    def save_request(self, folder: Path) -> Path:
        """The file whose change asks the program for a checkpoint."""
        return folder / self.node.attempt / f"save-{self.node.rank}"
