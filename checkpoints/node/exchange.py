"""Where nodes and scheduler meet: a run's files on this node, and the same files at the run's URL.

A folder that both see needs nothing. Behind a URL a node works on a copy: it fetches what earlier attempts left, pushes
what it writes, and pulls what others write meanwhile. Every file has one writer, files grow or are replaced whole, and
a push that fails is repeated, so the copy may be late but never wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..storage import LocalStorage, Storage, storage_for

Stamp = tuple[int, int]  # size in bytes, time of change in ns

EVENTS = "events.jsonl"
_NOT_EXCHANGED = ("pid.json", ".tmp", ".part", ".lock")  # of this machine only, or not whole yet
_LARGE = 1 << 20  # bytes; logs beyond are pushed rarely, since an object is always written as a whole
_LARGE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class NodeName:
    """Which node of which attempt; says which of the run's files are its own to write."""

    attempt_id: str
    number: int  # of the attempt
    rank: int

    @property
    def attempt(self) -> str:
        """The attempt's folder."""
        return f"attempts/{self.attempt_id}"

    @property
    def state(self) -> str:
        return f"{self.attempt}/node-{self.rank}.json"

    @property
    def log(self) -> str:
        return f"{self.attempt}/log-{self.rank}.txt"

    @property
    def events(self) -> str:
        return f"{self.attempt}/{EVENTS}"

    def writes(self, name: str) -> bool:
        """Whether a file is this node's to write. The first node writes for the program: progress, study, trials."""
        if name.startswith("attempts/"):
            return name in (self.state, self.log) or (self.rank == 0 and name == self.events)
        if name.startswith("study/"):
            return name == f"study/host-{self.number}.jsonl"
        return self.rank == 0


class Exchange(Protocol):
    """One node's view of the run's files."""

    folder: Path  # the run's folder on this node
    pause_s: float  # how often to look

    def fetch(self) -> None:
        """Bring here what was written before this attempt. Raises OSError or StorageError."""
        ...

    def pull(self) -> None:
        """Bring here what others have written since."""
        ...

    def push(self, *, all_of_it: bool = False) -> None:
        """Bring there what this node has written since."""
        ...


class SharedFolder:
    """A folder that nodes and scheduler both see."""

    pause_s = 0.5

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self) -> None:
        return

    def pull(self) -> None:
        return

    def push(self, *, all_of_it: bool = False) -> None:
        return


class Bucket:
    """Files behind a URL, worked on as copies in a folder of this node."""

    pause_s = 3.0

    def __init__(self, storage: Storage, folder: Path, node: NodeName) -> None:
        self.folder = folder
        self._storage, self._node = storage, node
        self._known: dict[str, Stamp] = {}  # what both sides have
        self._large_at = 0.0

    def fetch(self) -> None:
        for name in ("progress.jsonl", "sweep.json", *self._storage.files("study"), *self._storage.files("trials")):
            self._bring(name)
        self.pull()

    def pull(self) -> None:
        there = {**self._storage.files("study"), **self._storage.files(self._node.attempt)}
        for name, size in there.items():
            if not self._node.writes(name) and (name.endswith(".json") or size != self._size(name)):
                self._bring(name)

    def push(self, *, all_of_it: bool = False) -> None:
        with_large = all_of_it or time.monotonic() - self._large_at > _LARGE_EVERY_S
        # What is said to be over must be there before it is said: events last.
        for name in sorted(self._changed(), key=lambda name: (name.endswith(EVENTS), name)):
            stamp = self._stamp(name)
            if with_large or stamp[0] <= _LARGE:
                self._storage.put(name, (self.folder / name).read_bytes())
                self._known[name] = stamp
        if with_large:
            self._large_at = time.monotonic()

    def _bring(self, name: str) -> None:
        try:
            data = self._storage.read(name)
        except FileNotFoundError:
            return
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".tmp")
        draft.write_bytes(data)
        draft.replace(path)
        self._known[name] = self._stamp(name)

    def _changed(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(_NOT_EXCHANGED))
        names = (path.relative_to(self.folder).as_posix() for path in files)
        return [name for name in names if self._node.writes(name) and self._known.get(name) != self._stamp(name)]

    def _stamp(self, name: str) -> Stamp:
        status = (self.folder / name).stat()
        return status.st_size, status.st_mtime_ns

    def _size(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.exists() else -1


def exchange_for(url: str, scratch: Path, node: NodeName) -> Exchange:
    """How this node exchanges a run's files. ``scratch``: where it may keep copies."""
    storage = storage_for(url)
    return SharedFolder(Path(storage.url)) if isinstance(storage, LocalStorage) else Bucket(storage, scratch, node)
