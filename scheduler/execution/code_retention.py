"""Code of ended runs that nobody needs any more: the snapshots, and their copies in which programs worked.

A program's own output lies among such a copy, so that only what is still as in the snapshot goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from ..core.code_version import CodeVersion
from ..core.run import Run
from .code_store import code_folder, is_same_file, unused_snapshots


@dataclass(frozen=True, slots=True)
class UnusedCode:
    """A folder with code that can go."""

    path: Path
    files: tuple[Path, ...]  # what goes
    run_id: str = ""  # whose copy it is; "": a snapshot
    bytes: int = 0


def unused_code(home: Path, runs: Collection[Run], needed: Collection[str]) -> list[UnusedCode]:
    """Copies first: what of them is still code is told by their snapshots.

    Args:
        needed: runs whose code stays.
    """
    found: list[UnusedCode] = []
    kept: set[str] = set()
    for run in runs:
        code = CodeVersion.of_json(run.code_json)
        if code is None or not code.fingerprint:
            continue
        if run.id in needed:
            kept.add(code.fingerprint)
        elif files := tuple(_unchanged(Path(run.workdir), code_folder(home) / code.fingerprint)):
            found.append(UnusedCode(Path(run.workdir), files, run.id, _bytes(files)))
    for snapshot in unused_snapshots(home, kept):
        files = tuple(path for path in snapshot.rglob("*") if path.is_symlink() or path.is_file())
        found.append(UnusedCode(snapshot, files, bytes=_bytes(files)))
    return found


def remove_code(unused: UnusedCode) -> None:
    """Remove it. Raises ``OSError``; what is left then goes the next time."""
    if not unused.run_id:
        rmtree(unused.path)
        return
    for file in unused.files:
        file.unlink(missing_ok=True)
    folders = sorted((path for path in unused.path.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True)
    for folder in [*folders, unused.path]:
        if not any(folder.iterdir()):
            folder.rmdir()


def _unchanged(copy: Path, snapshot: Path) -> Iterator[Path]:
    """Files and links of a copy that are as in its snapshot; none where the program worked in no copy."""
    if not copy.is_dir() or not snapshot.is_dir() or copy == snapshot:
        return
    for original in snapshot.rglob("*"):
        mine = copy / original.relative_to(snapshot)
        if is_same_file(mine, original):
            yield mine


def _bytes(files: Collection[Path]) -> int:
    return sum(file.lstat().st_size for file in files)
