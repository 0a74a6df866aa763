"""A checkpoint folder with what no Session has put there: it is passed over or refused, not waited for or followed."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from spotwise.checkpoints import CorruptError, StateError, latest_checkpoint
from spotwise.checkpoints.digest import FileDigest, HashingStream
from spotwise.checkpoints.manifest import decode_manifest
from spotwise.checkpoints.storage import LocalStorage, NoFileError

OLD, NEW = "step-000000005", "step-000000010"  # after one epoch, and after two


@pytest.fixture
def folder(training: Callable[..., Any], tmp_path: Path) -> Path:
    """Checkpoints of a training of two epochs."""
    training().run(2)
    return tmp_path / "checkpoints"


def data_of(folder: Path, name: str) -> Path:
    (data,) = (folder / name).glob("state*")
    return data


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails where something waits for ever."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("it waited")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def to_itself(path: Path) -> None:
    path.symlink_to(path)


def to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent.parent)


def to_a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path must be short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("place", [os.mkfifo, Path.mkdir, to_itself, to_zeros, to_a_folder, to_a_socket])
@pytest.mark.parametrize("what", ["manifest", "data"])
def test_what_is_no_file_is_passed_over_at_once(
    training: Callable[..., Any], folder: Path, place: Callable[[Path], None], what: str
) -> None:
    path = folder / NEW / "manifest.json" if what == "manifest" else data_of(folder, NEW)
    path.unlink()
    place(path)
    with within(20):
        assert latest_checkpoint(str(folder)).name == OLD
        assert training().session.restored.checkpoint == OLD


@pytest.mark.parametrize("what", ["manifest.json", "state"])
def test_a_link_out_of_the_checkpoints_is_not_followed(
    training: Callable[..., Any], folder: Path, tmp_path: Path, what: str
) -> None:
    """Even where it leads to the very same bytes."""
    path = next((folder / NEW).glob(f"{what}*"))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert training().session.restored.checkpoint == OLD


def test_a_folder_that_links_out_is_not_followed(training: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    (folder / NEW).rename(tmp_path / NEW)
    (folder / NEW).symlink_to(tmp_path / NEW)
    assert training().session.restored.checkpoint == OLD


def test_the_folder_of_checkpoints_itself_may_be_a_link(training: Callable[..., Any], folder: Path) -> None:
    folder.rename(folder.with_name("big-disk"))
    folder.symlink_to(folder.with_name("big-disk"))
    assert training().session.restored.checkpoint == NEW


def change(folder: Path, **values: object) -> None:
    path = folder / NEW / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    "name", ["../step-000000005/state.pt", "/etc/hostname", "a/../../b", "..", ".", "", "a\0b", "x" * 300, "a/" * 3000]
)
def test_a_manifest_that_names_what_cannot_lie_in_its_folder_is_passed_over(
    training: Callable[..., Any], folder: Path, name: str
) -> None:
    change(folder, files={name: {"sha256": "0" * 64, "bytes": 0}})
    assert training().session.restored.checkpoint == OLD


@pytest.mark.parametrize(
    "values",
    [
        {"step": 5},  # that of another checkpoint
        {"step": -10},
        {"step": "10"},
        {"step": True},
        {"step": 10.5},
        {"epoch": [2]},
        {"batch": None, "step": None},
        {"files": []},
        {"files": {}},
        {"files": {"state.pt": []}},
        {"files": {"state.pt": {"sha256": 1, "bytes": 1}}},
        {"metrics": {"loss": [1]}},
        {"metrics": [1]},
        {"created": 5},
        {"created": "yesterday"},
        {"total_epochs": "many"},
        {"format": "1"},
    ],
    ids=repr,
)
def test_a_manifest_with_values_of_other_types_is_passed_over(
    training: Callable[..., Any], folder: Path, values: dict[str, object]
) -> None:
    change(folder, **values)
    assert training().session.restored.checkpoint == OLD


@pytest.mark.parametrize("text", ["[]", "null", "[" * 100_000, '{"a":' * 100_000, "\ufeff{}", "{}"])
def test_a_manifest_that_is_no_manifest_is_passed_over(training: Callable[..., Any], folder: Path, text: str) -> None:
    (folder / NEW / "manifest.json").write_text(text)
    assert training().session.restored.checkpoint == OLD


def test_a_manifest_of_300_megabytes_is_not_read_whole(training: Callable[..., Any], folder: Path) -> None:
    """It is one hole, which costs no disk, but would cost as much memory."""
    with (folder / NEW / "manifest.json").open("ab") as manifest:
        manifest.truncate(300 * 2**20)
    read: list[int | None] = []

    class Watched(LocalStorage):
        def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
            read.append(length)
            return super().read(name, start, length)

    assert training(storage=Watched(folder)).session.restored.checkpoint == OLD
    assert all(length is not None and length < 10 * 2**20 for length in read)


def test_data_of_another_size_than_promised_is_not_read(training: Callable[..., Any], folder: Path) -> None:
    with data_of(folder, NEW).open("ab") as data:
        data.truncate(10**12)  # one hole: reading it would take many minutes
    with within(20):
        assert training().session.restored.checkpoint == OLD


def replace_state(folder: Path, state: object) -> None:
    """An intact checkpoint, of whatever."""
    data = data_of(folder, NEW)
    with data.open("wb") as target:
        stream = HashingStream(target)
        if data.suffix == ".pt":
            torch.save(state, stream)
        else:
            stream.write(json.dumps(state).encode())
    digest: FileDigest = stream.digest()
    change(folder, files={data.name: {"sha256": digest.sha256, "bytes": digest.bytes}})


GOOD_RNG = {"python": [3, [0] * 625, None], "own": {}}


@pytest.mark.parametrize(
    "state",
    [
        {"model": {}},
        {},
        [],
        "text",
        {"parts": [], "rng": GOOD_RNG},
        {"parts": {"walk": {"value": 1.0}}},
        {"parts": {"walk": {"value": 1.0}}, "rng": {}, "epoch_rng": None},
        {"parts": {"walk": {"value": 1.0}}, "rng": GOOD_RNG, "epoch_rng": 5},
    ],
    ids=repr,
)
def test_an_intact_state_of_another_program_is_refused_with_what_to_do(
    training: Callable[..., Any], folder: Path, state: object
) -> None:
    """Nothing is damaged: to start over without a word would be the loss."""
    replace_state(folder, state)
    with pytest.raises(StateError, match="intact"):
        training()


def test_random_states_that_do_not_fit_are_refused_with_what_to_do(training: Callable[..., Any], folder: Path) -> None:
    replace_state(folder, {"parts": {"walk": {"value": 1.0}}, "rng": {"python": [3, [0] * 5, None], "own": {}}})
    session = training().session
    with pytest.raises(StateError, match="random number generators"):
        next(iter(session.epochs(5)))


def test_a_pipe_is_no_file_to_any_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with within(20), pytest.raises(NoFileError):
        LocalStorage(tmp_path).read("pipe")


def test_a_manifest_names_files_in_folders_of_its_own() -> None:
    """What any program may write."""
    files = {"shards/0/model.bin": {"sha256": "0" * 64, "bytes": 1}}
    values = {"format": 1, "epoch": 1, "step": 1, "metrics": {}, "created": "2026-11-23T07:39:02+00:00", "host": "vm"}
    manifest = decode_manifest(json.dumps({**values, "attempt": 1, "files": files}).encode(), source="here")
    assert list(manifest.files) == ["shards/0/model.bin"]
    with pytest.raises(CorruptError):
        decode_manifest(b"", source="here")
