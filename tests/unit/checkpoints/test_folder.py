"""Checkpoints are committed whole or not at all, and only intact ones are read."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from spotwise.checkpoints import (
    CheckpointFolder,
    CorruptError,
    Manifest,
    NoSpaceError,
    SaveError,
    TrainingPosition,
    latest_checkpoint,
)
from spotwise.checkpoints.digest import HashingStream
from spotwise.checkpoints.folder import surplus
from spotwise.checkpoints.progress_log import utc_now
from spotwise.checkpoints.storage import LocalStorage


class Killed(BaseException):
    """The process dies here: nothing after this runs, not even clean-up."""


class FaultyStorage(LocalStorage):
    """Fails at the n-th thing it is asked to change, halfway where the change has a middle."""

    def __init__(self, root: Path, fail_at: int, fault: BaseException) -> None:
        super().__init__(root)
        self._left = fail_at
        self._fault = fault
        self.failed = False

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        self._count()
        with super().create(name) as stream:
            yield _Halfway(stream, self)
            self._count()  # while it is flushed

    def put(self, name: str, data: bytes) -> None:
        """Before and after; that nothing lies between is what ``test_atomic_file.py`` proves."""
        self._count()
        super().put(name, data)
        self._count()

    def delete(self, name: str) -> None:
        self._count()
        super().delete(name)

    def remove(self, folder: str) -> None:
        self._count()
        super().remove(folder)

    def _count(self) -> None:
        """A dead process stays dead; a full disk is full once, so that clean-up works as it does on a real one."""
        self._left -= 1
        if self._left == 0 or (self._left < 0 and isinstance(self._fault, Killed)):
            self.failed = True
            raise self._fault


class _Halfway:
    def __init__(self, stream: BinaryIO, storage: FaultyStorage) -> None:
        self._stream = stream
        self._storage = storage

    def write(self, data: bytes) -> int:
        try:
            self._storage._count()
        except BaseException:
            self._stream.write(data[: len(data) // 2])
            raise
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()


def payload(text: str) -> Callable[[HashingStream], None]:
    def write(stream: HashingStream) -> None:
        stream.write(text.encode())
        stream.write(b" and more")

    return write


def draft(step: int, *, batch: int = 0) -> Manifest:
    return Manifest(TrainingPosition(1, step, batch), utc_now(), {"loss": 0.5}, host="here")


def save(folder: CheckpointFolder, step: int) -> Manifest:
    manifest = folder.commit(draft(step), "state.json", payload(f"state {step}"))
    folder.prune(manifest.name)
    return manifest


def data_file(root: Path, step: int) -> Path:
    return root / f"step-{step:09d}" / "state.json"


def test_a_committed_checkpoint_is_read_back(tmp_path: Path) -> None:
    folder = CheckpointFolder(LocalStorage(tmp_path))
    manifest = save(folder, 120)
    assert manifest.name == "step-000000120"
    assert folder.verify("step-000000120") == manifest == latest_checkpoint(str(tmp_path))
    with folder.open(manifest, "state.json") as stream:
        assert stream.read() == b"state 120 and more"


def test_the_manifest_is_the_documented_format(tmp_path: Path) -> None:
    save(CheckpointFolder(LocalStorage(tmp_path)), 5)
    values = json.loads((tmp_path / "step-000000005" / "manifest.json").read_text())
    assert {"format", "epoch", "step", "metrics", "created", "host", "attempt", "files"} <= values.keys()
    assert values["files"]["state.json"]["bytes"] == len("state 5 and more")


def truncate(root: Path) -> None:
    data_file(root, 2).write_bytes(data_file(root, 2).read_bytes()[:-1])


def flip_a_bit(root: Path) -> None:
    data = bytearray(data_file(root, 2).read_bytes())
    data[3] ^= 1
    data_file(root, 2).write_bytes(data)


def wrong_hash(root: Path) -> None:
    manifest = data_file(root, 2).with_name("manifest.json")
    values = json.loads(manifest.read_text())
    values["files"]["state.json"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(values))


def tear_the_manifest(root: Path) -> None:
    manifest = data_file(root, 2).with_name("manifest.json")
    manifest.write_bytes(manifest.read_bytes()[:40])


def lose_the_data(root: Path) -> None:
    data_file(root, 2).unlink()


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, wrong_hash, tear_the_manifest, lose_the_data])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    folder = CheckpointFolder(LocalStorage(tmp_path))
    for step in (1, 2):
        save(folder, step)
    damage(tmp_path)
    with pytest.raises(CorruptError, match="step-000000002"):
        folder.verify("step-000000002")
    assert latest_checkpoint(str(tmp_path)).name == "step-000000001"
    assert "step-000000002" in caplog.text


def test_killed_at_any_write_the_one_before_is_used_and_nothing_claims_to_be_the_new_one(tmp_path: Path) -> None:
    """Walks through every change a save makes. Up to the manifest the new one is absent; after it, it is whole."""
    outcomes = []
    for fail_at in range(1, 30):
        root = tmp_path / str(fail_at)
        save(CheckpointFolder(LocalStorage(root)), 1)
        storage = FaultyStorage(root, fail_at, Killed())
        try:
            save(CheckpointFolder(storage, keep=1), 2)
        except Killed:
            found = latest_checkpoint(str(root)).position.step
            assert (root / "step-000000002" / "manifest.json").exists() is (found == 2)
            outcomes.append(found)
            save(CheckpointFolder(LocalStorage(root), keep=1), 3)  # the next process cleans up
            assert [path.name for path in root.iterdir()] == ["step-000000003"]
        if not storage.failed:
            break
    # create, 2 writes, flush; before the manifest is put | after it; delete the old manifest, remove its folder
    assert outcomes == [1] * 5 + [2] * 3


def test_a_manifest_that_was_not_renamed_yet_is_no_checkpoint(tmp_path: Path) -> None:
    save(CheckpointFolder(LocalStorage(tmp_path)), 1)
    save(CheckpointFolder(LocalStorage(tmp_path)), 2)
    manifest = tmp_path / "step-000000002" / "manifest.json"
    manifest.rename(manifest.with_name("manifest.json.tmp"))
    assert latest_checkpoint(str(tmp_path)).position.step == 1


@pytest.mark.parametrize("fail_at", range(1, 6))
def test_a_full_disk_at_any_write_leaves_nothing_but_the_one_before(tmp_path: Path, fail_at: int) -> None:
    save(CheckpointFolder(LocalStorage(tmp_path)), 1)
    storage = FaultyStorage(tmp_path, fail_at, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(NoSpaceError, match="step-000000002"):
        save(CheckpointFolder(storage), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]
    assert latest_checkpoint(str(tmp_path)).position.step == 1


def test_other_faults_of_a_save_are_told_apart_from_a_full_disk(tmp_path: Path) -> None:
    storage = FaultyStorage(tmp_path, 2, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(SaveError, match="Input/output") as raised:
        save(CheckpointFolder(storage), 1)
    assert not isinstance(raised.value, NoSpaceError)


def test_a_failed_save_at_the_same_step_leaves_the_earlier_one_intact(tmp_path: Path) -> None:
    """The last batch's checkpoint and the epoch's end share a step, so they share a folder."""
    within = CheckpointFolder(LocalStorage(tmp_path)).commit(draft(5, batch=5), "state-batch-5.json", payload("within"))
    for fail_at in range(1, 6):
        storage = FaultyStorage(tmp_path, fail_at, OSError(errno.ENOSPC, "full"))
        with pytest.raises(NoSpaceError):
            CheckpointFolder(storage).commit(draft(5), "state.json", payload("end"))
        assert latest_checkpoint(str(tmp_path)) == within
        assert not data_file(tmp_path, 5).exists()
    end = CheckpointFolder(LocalStorage(tmp_path)).commit(draft(5), "state.json", payload("end"))
    assert latest_checkpoint(str(tmp_path)) == end


@pytest.mark.parametrize(
    ("committed", "torn", "newest", "keep", "removed"),
    [
        ([1, 2, 3, 4], [], 4, 3, [1]),  #      the oldest goes
        ([1, 2, 3, 4], [], 4, 1, [1, 2, 3]),
        ([1], [], 1, 3, []),
        ([1, 3], [2], 3, 3, [2]),  #           what a crash left goes
        ([1, 2, 9], [], 2, 3, [9]),  #         9 was damaged: training continued from 1, and saved 2
        ([1, 2, 9], [], 2, 1, [1, 9]),  #      and it does not count among those kept
        ([9, 10], [], 10, 1, [9]),  #          numbers, not letters, decide
    ],
)
def test_retention(committed: list[int], torn: list[int], newest: int, keep: int, removed: list[int]) -> None:
    def named(steps: list[int]) -> list[str]:
        return [f"step-{step:09d}" for step in steps]

    names = sorted(named(committed + torn))
    assert surplus(names, named(committed), named([newest])[0], keep) == named(removed)


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "progress.jsonl").touch()
    folder = CheckpointFolder(LocalStorage(tmp_path), keep=1)
    for step in (1, 2):
        save(folder, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "progress.jsonl", "step-000000002"]
