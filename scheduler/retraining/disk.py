"""The file system in steps that a crash can fall between. Every step is on the disk when it returns."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file holds."""

    sha256: str
    bytes: int


class Disk:
    """Real steps; tests subclass it to die before, in or after each."""

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents; existing ones are fine."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_folder(path.parent)

    def copy(self, source: Path, target: Path) -> Digest:
        """Copy a file and tell what was copied, read once: what is hashed is what is written."""
        sha256, size = hashlib.sha256(), 0
        with source.open("rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                sha256.update(chunk)
                size += len(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        return Digest(sha256.hexdigest(), size)

    def write(self, path: Path, text: str) -> None:
        with path.open("w", encoding="utf-8") as writer:
            writer.write(text)
            writer.flush()
            os.fsync(writer.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Atomic on one file system; replaces an existing file, never a folder with content."""
        source.replace(target)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all it holds; a missing one is fine."""
        if path.exists():
            shutil.rmtree(path)
