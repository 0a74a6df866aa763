"""Processes of trials: told apart from strangers, asked to leave, ended with all they started."""

from __future__ import annotations

import json
import os
import platform
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

_SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh"})
_CLOCK_TICK_S = 0.05  # start times of one process read twice may differ by rounding


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process and its group. The start time tells it from a later one with the same number.

    What another machine wrote down, in a folder that several see, is none of this machine's: it has no processes here.
    """

    pid: int
    create_time: float  # seconds since the epoch, as psutil gives it
    machine: str = field(default_factory=platform.node)

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> ProcessId | None:
        """What ``save`` wrote; None if there is nothing."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def leader(self) -> psutil.Process | None:
        """The process itself while it runs."""
        if self._is_elsewhere:
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < _CLOCK_TICK_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def living(self) -> list[psutil.Process]:
        """The process, its descendants, and what is left of its group."""
        leader = self.leader()
        family = [leader, *_descendants(leader)] if leader else []
        return list(dict.fromkeys([*family, *self._group()]))

    @property
    def _is_elsewhere(self) -> bool:
        return self.machine != platform.node()

    def _group(self) -> list[psutil.Process]:
        """Members of its group, which outlive it when a shell dies first; none if the number is another's by now."""
        if self._is_elsewhere:
            return []
        try:
            if abs(psutil.Process(self.pid).create_time() - self.create_time) >= _CLOCK_TICK_S:
                return []
        except psutil.NoSuchProcess:
            pass
        return [process for process in psutil.process_iter() if _is_in_group(process, self.pid)]

    def ask_to_leave(self) -> None:
        """SIGTERM to the training program, so that it saves.

        A shell script does not pass signals on, so shells are looked through: what they run is told first, then they
        are. Deeper processes, such as a program's data loaders, are the program's own to end.
        """
        leader = self.leader()
        targets = _programs(leader) if leader else self._group()
        for process in targets:
            _send(process, signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started, now."""
        end(self.living())


def end(processes: list[psutil.Process]) -> None:
    """Kill them; those that are gone do not matter."""
    for process in processes:
        _send(process, signal.SIGKILL)


def _programs(process: psutil.Process) -> list[psutil.Process]:
    """The first programs below the shells, then the shells, outermost last."""
    try:
        children = process.children() if process.name() in _SHELLS else []
    except psutil.NoSuchProcess:
        return []
    return [found for child in children for found in _programs(child)] + [process]


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
