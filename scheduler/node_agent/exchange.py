"""Where nodes and scheduler meet: a run's files on this node, and the same files at the run's URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from spotwise.checkpoints.storage import LocalStorage, storage_for

from .bucket import Bucket
from .node_name import NodeName
from .timeouts import Timeouts


class Exchange(Protocol):
    """One node's view of the run's files."""

    folder: Path  # the run's folder on this node
    pause_s: float  # how often to look
    log_pause_s: float  # how long logs can wait

    def fetch(self) -> None:
        """Bring here what was written before. Raises OSError or StorageError, as all of these do."""
        ...

    def pull(self, names: Iterable[str]) -> None:
        """Bring here what others have written since: these files, as far as they are there, and their studies."""
        ...

    def push(self) -> None:
        """Bring there what this node has written since, without logs."""
        ...

    def upload_logs(self) -> None:
        """Bring logs there, however long they are. May be called while another thread pushes."""
        ...

    def finish(self) -> None:
        """Bring there whatever is not there yet."""
        ...

    def discard(self) -> None:
        """Remove copies; everything is there."""
        ...


class SharedFolder:
    """A folder that nodes and scheduler both see: everything is in its place at once."""

    log_pause_s = 3600.0

    def __init__(self, folder: Path, pause_s: float) -> None:
        self.folder, self.pause_s = folder, pause_s

    def fetch(self) -> None:
        return

    def pull(self, names: Iterable[str]) -> None:
        return

    def push(self) -> None:
        return

    def upload_logs(self) -> None:
        return

    def finish(self) -> None:
        return

    def discard(self) -> None:
        return


def exchange_for(url: str, scratch: Path, node: NodeName, timeouts: Timeouts) -> Exchange:
    """How this node exchanges a run's files. ``scratch``: where it may keep copies."""
    storage = storage_for(url)
    if isinstance(storage, LocalStorage):
        return SharedFolder(Path(storage.url), timeouts.folder_poll_s)
    return Bucket(storage, scratch, node, timeouts.url_poll_s)
