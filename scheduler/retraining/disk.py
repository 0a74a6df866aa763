"""The file system in steps that a crash can fall between. Every step is on the disk when it returns."""

from __future__ import annotations

import shutil
from pathlib import Path

from spotwise.checkpoints.atomic_file import durable_stream, sync_folder
from spotwise.checkpoints.digest import FileDigest, copy_hashed


class Disk:
    """Real steps; tests subclass it to die before, in or after each."""

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents; existing ones are fine."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_folder(path.parent)

    def copy(self, source: Path, target: Path) -> FileDigest:
        """Copy a file and tell what was copied."""
        with source.open("rb") as reader, durable_stream(target) as writer:
            return copy_hashed(reader, writer)

    def write(self, path: Path, text: str) -> None:
        """Write a file as UTF-8; a crash may leave a part of it."""
        with durable_stream(path) as writer:
            writer.write(text.encode())

    def rename(self, source: Path, target: Path) -> None:
        """Atomic on one file system; replaces an existing file, never a folder with content."""
        source.replace(target)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        sync_folder(path)

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all it holds; a missing one is fine."""
        if path.exists():
            shutil.rmtree(path)
