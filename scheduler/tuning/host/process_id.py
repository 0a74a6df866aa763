"""Processes noted in files, for whoever has to end them later: told apart from strangers with the same number."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.strict_json import Fields, UnreadableError, parse_json

from ...node_agent.processes import find_process, kill_all, tree_of


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process. The start time tells it from a later one with the same number.

    What another machine wrote down, in a folder that several see, is none of this machine's: it has no processes here.
    """

    pid: int
    create_time: float  # seconds since the epoch, as psutil gives it
    machine: str = field(default_factory=platform.node)

    @classmethod
    def of(cls, process: psutil.Process) -> ProcessId:
        """Raises psutil.NoSuchProcess."""
        return cls(process.pid, process.create_time())

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._is_here and find_process(self.pid, self.create_time) is not None

    def tree(self) -> list[psutil.Process]:
        """The process and all that it has started, as far as it lives; also once the process itself is gone."""
        return tree_of(self.pid, self.create_time) if self._is_here else []

    def kill(self) -> None:
        """End it and all that it started, now."""
        kill_all(self.tree)

    @property
    def _is_here(self) -> bool:
        return self.machine == platform.node()


def note_processes(path: Path, processes: Iterable[psutil.Process]) -> None:
    """Write down those that are still there. A power cut may lose the file: it ends the processes as well."""
    write_atomic(path, json.dumps([asdict(found) for found in map(_id_of, processes) if found]), durable=False)


def noted_processes(path: Path) -> list[ProcessId] | None:
    """What was written down; None if nothing was. One process may stand there without a list around it."""
    try:
        found = parse_json(path.read_bytes())
        return [_process_in(Fields(values)) for values in (found if isinstance(found, list) else [found])]
    except (FileNotFoundError, UnreadableError):
        return None


def _process_in(fields: Fields) -> ProcessId:
    machine = fields.text("machine", platform.node())
    return ProcessId(fields.whole("pid", low=1), fields.number("create_time", low=0), machine)


def _id_of(process: psutil.Process) -> ProcessId | None:
    try:
        return ProcessId.of(process)
    except psutil.NoSuchProcess:
        return None
