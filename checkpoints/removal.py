"""Removing checkpoints that nobody needs any more, in an order that leaves nothing that only looks whole."""

from __future__ import annotations

from dataclasses import dataclass

from .manifest import MANIFEST
from .storage import Storage


@dataclass(frozen=True, slots=True)
class StoredSize:
    """How much lies in a place."""

    files: int = 0
    bytes: int = 0


def stored_size(storage: Storage) -> StoredSize:
    """What lies under a storage's URL; nothing where it is not there.

    Raises ``OSError`` or ``StorageError`` where it cannot be read.
    """
    sizes = storage.files("").values()
    return StoredSize(len(sizes), sum(sizes))


def remove_checkpoints(storage: Storage) -> None:
    """Remove a folder of checkpoints with everything in it, also what a program keeps there in a format of its own.

    All manifests go first: whoever is killed in between leaves data that is no checkpoint, and the next removal ends
    it. Raises ``OSError`` or ``StorageError`` where something cannot be removed.
    """
    for name in storage.files(""):
        if name.rpartition("/")[2] == MANIFEST:
            storage.delete(name)
    storage.remove("")
