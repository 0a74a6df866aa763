"""Checkpoints that nobody needs go whole; a removal that is cut short leaves nothing that only looks whole."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from checkpoint_folders import checkpoint_folder

from spotwise.checkpoints.folder import latest_checkpoint
from spotwise.checkpoints.removal import StoredSize, remove_checkpoints, stored_size
from spotwise.checkpoints.storage import LocalStorage, Storage, storage_for


class KilledError(BaseException):
    """The process is gone."""


class Cut:
    """A storage whose process is killed before its n-th deletion; removing a folder deletes its files one by one."""

    def __init__(self, storage: Storage, deletions: int) -> None:
        self._storage, self._left = storage, deletions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def delete(self, name: str) -> None:
        if not self._left:
            raise KilledError
        self._left -= 1
        self._storage.delete(name)

    def remove(self, folder: str) -> None:
        for name in self._storage.files(folder):
            self.delete(name)
        self._storage.remove(folder)


def filled(folder: Path) -> None:
    for step in (1, 2, 3):
        checkpoint_folder(folder / f"step-{step:09d}", {"a.pt": b"a" * step, "b.pt": b"b"}, step=step)
    (folder / "own-format.bin").write_bytes(b"12345")


def test_everything_goes_and_what_was_there_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    filled(folder)
    storage = LocalStorage(folder)
    assert stored_size(storage).files == 10
    assert stored_size(storage).bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    remove_checkpoints(storage)
    assert stored_size(storage) == StoredSize()
    assert not folder.exists()
    assert (tmp_path / "run").exists()
    remove_checkpoints(storage)


def test_a_url_is_emptied_as_well() -> None:
    storage = storage_for("memory://removal/run-1")
    for name in ("step-000000001/a.pt", "step-000000001/manifest.json", "x.bin"):
        storage.put(name, b"123")
    other = storage_for("memory://removal/run-2")
    other.put("x.bin", b"1")
    assert stored_size(storage) == StoredSize(3, 9)
    remove_checkpoints(storage)
    assert stored_size(storage) == StoredSize()
    assert stored_size(other) == StoredSize(1, 1)


@pytest.mark.parametrize("deletions", range(11))
def test_a_removal_that_is_killed_leaves_whole_checkpoints_or_none_and_can_be_repeated(
    tmp_path: Path, deletions: int
) -> None:
    filled(tmp_path / "c")
    storage = LocalStorage(tmp_path / "c")
    try:
        remove_checkpoints(Cut(storage, deletions))
    except KilledError:
        pass
    else:
        assert deletions >= 10
    for name in itertools.chain(storage.folders()):
        manifest = (tmp_path / "c" / name / "manifest.json").exists()
        assert not manifest or {"a.pt", "b.pt"} <= {path.name for path in (tmp_path / "c" / name).iterdir()}
    if deletions < 3:
        assert latest_checkpoint(str(tmp_path / "c")) is not None
    elif deletions < 10:
        assert latest_checkpoint(str(tmp_path / "c")) is None
    remove_checkpoints(storage)
    assert not (tmp_path / "c").exists()
