"""A run's files behind a URL: a node works on copies of them in a folder of its own.

It fetches what earlier attempts left, pushes what it writes, and pulls what others write meanwhile. Files grow or are
replaced whole, and a push that fails is repeated, so the copy may be late but never wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.digest import CHUNK_BYTES
from spotwise.checkpoints.storage import Storage

from .node_name import NodeName

Stamp = tuple[int, int]  # size in bytes, time of change in ns

_GONE: Stamp = (-1, 0)
_LOG = ".txt"
_NOT_EXCHANGED = ("pid.json", ".tmp", ".part", ".lock")  # of this machine only, or not whole yet
_LOG_BYTES_PER_S = 1 << 18  # on average: a log is written anew as a whole each time, since objects do not grow
_LONG = 1 << 26  # bytes; a machine that is about to go may have no time for such a log


class Bucket:
    """Files behind a URL, worked on as copies in a folder of this node."""

    def __init__(self, storage: Storage, folder: Path, node: NodeName, pause_s: float) -> None:
        self.folder, self.pause_s, self.log_pause_s = folder, pause_s, pause_s
        self._storage, self._node = storage, node
        self._known: dict[str, Stamp] = {}  # what both sides have

    def fetch(self) -> None:
        own = (self._node.events, self._node.state)  # of a machine on which this attempt has run already
        study, trials = self._storage.files("study"), self._storage.files("trials")
        for name in (*own, "progress.jsonl", "sweep.json", *study, *trials):
            self._bring(name)

    def pull(self, names: Iterable[str]) -> None:
        for name in names:
            self._bring(name)
        if not (self.folder / "sweep.json").exists():
            return
        for name, size in self._storage.files("study").items():
            if not self._node.writes(name) and size != self._size(name):
                self._bring(name)

    def push(self) -> None:
        # What is said to be over must be there before it is said: events last.
        # A sweep host publishes its study itself, before anything follows from it: what is known here may be older.
        changed = (name for name in self._changed() if not name.endswith(_LOG) and not name.startswith("study/"))
        for name in sorted(changed, key=lambda name: (name == self._node.events, name)):
            stamp = self._stamp(name)
            self._storage.put(name, (self.folder / name).read_bytes())
            self._known[name] = stamp

    def upload_logs(self) -> None:
        uploaded = sum(self._upload_log(name) for name in self._changed() if name.endswith(_LOG))
        self.log_pause_s = max(self.pause_s, uploaded / _LOG_BYTES_PER_S)

    def finish(self) -> None:
        for name in self._changed():
            if name.endswith(_LOG) and self._size(name) < _LONG:
                self._upload_log(name)
        self.push()
        self.upload_logs()

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _upload_log(self, name: str) -> int:
        """Bring a log there in pieces, so that its length costs no memory. How long it was."""
        stamp = self._stamp(name)
        with (self.folder / name).open("rb") as log, self._storage.create(name) as there:
            shutil.copyfileobj(log, there, CHUNK_BYTES)
        self._known[name] = stamp
        return stamp[0]

    def _bring(self, name: str) -> None:
        try:
            data = self._storage.read(name)
        except FileNotFoundError:
            return
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data, durable=False)
        self._known[name] = self._stamp(name)

    def _changed(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(_NOT_EXCHANGED))
        names = (path.relative_to(self.folder).as_posix() for path in files)
        own = [name for name in names if self._node.writes(name)]
        return [name for name in own if self._stamp(name) not in (_GONE, self._known.get(name))]

    def _stamp(self, name: str) -> Stamp:
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            return _GONE  # replaced or removed under our eyes
        return status.st_size, status.st_mtime_ns

    def _size(self, name: str) -> int:
        return self._stamp(name)[0]
