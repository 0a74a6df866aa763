"""A file is the old one or the new one, whatever fails and whenever; and its permissions are right from the start."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from spotwise.checkpoints.atomic_file import durable_stream, write_atomic, write_once

STEPS = ("open", "fsync", "rename", "replace", "link", "unlink")  # of os: what a writer asks of the disk
OLD, NEW = "the old text", "the new and longer text"


def at_step(number: int, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the ``number``-th step that a writer asks of the disk, ``then`` happens."""
    steps = count()

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if next(steps) == number:
                then()
            return step(*args, **named)

        return wrapped

    for name in STEPS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


def is_killed_at(number: int, work: Callable[[], object]) -> bool:
    """Whether the work, in a process of its own, came to its ``number``-th step, before which it was killed."""
    pid = os.fork()
    if pid == 0:
        with pytest.MonkeyPatch.context() as patch:
            at_step(number, lambda: os.kill(os.getpid(), signal.SIGKILL), patch)
            work()
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed of itself"
    return os.WIFSIGNALED(status)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_killed_before_any_step_the_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    seen = []
    for number in count():
        path = tmp_path / f"{number}.txt"
        path.write_text(OLD)
        if not is_killed_at(number, lambda path=path: write_atomic(path, NEW)):
            break
        seen.append(path.read_text())
        left = [name for name in files_in(tmp_path) if name.startswith(f".{path.name}")]
        assert all(name.endswith(".tmp") for name in left), "the next look takes it for something"
    assert seen == sorted(seen, key=lambda text: text == NEW), "what was new became old again"
    assert set(seen) == {OLD, NEW}


def test_killed_before_any_step_a_file_written_once_is_absent_or_whole(tmp_path: Path) -> None:
    seen = set()
    for number in count():
        path = tmp_path / f"{number}.txt"
        if not is_killed_at(number, lambda path=path: write_once(path, NEW)):
            break
        seen.add(path.read_text() if path.exists() else None)
        write_once(path, NEW)
        assert path.read_text() == NEW
    assert seen == {None, NEW}


@pytest.mark.parametrize("number", range(3))
def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "file").write_text(OLD)

    def no_space() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    at_step(number, no_space, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", NEW)
    monkeypatch.undo()
    assert (tmp_path / "file").read_text() == OLD
    assert files_in(tmp_path) == ["file"]


def test_of_two_who_write_once_at_the_same_moment_the_first_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_have_written, link = threading.Barrier(2, timeout=30), os.link

    def wait_for_the_other(source: Path, target: Path) -> None:
        both_have_written.wait()
        link(source, target)

    monkeypatch.setattr(os, "link", wait_for_the_other)
    texts = ["a long text", "short"]
    with ThreadPoolExecutor(2) as pool:
        first = list(pool.map(lambda text: write_once(tmp_path / "file", text), texts))
    assert sorted(first) == [False, True]
    assert (tmp_path / "file").read_text() == texts[first.index(True)]
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("write", [write_atomic, write_once])
def test_what_is_secret_is_so_before_its_first_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., object]
) -> None:
    made_with, make = [], os.open

    def noted(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            made_with.append(mode)
        return make(path, flags, mode)

    monkeypatch.setattr(os, "open", noted)
    write(tmp_path / "secrets.json", "{}", mode=0o600)
    assert made_with == [0o600]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(("umask", "mode", "expected"), [(0o077, 0o644, 0o644), (0o027, None, 0o640)])
def test_a_mode_that_is_given_holds_whatever_the_umask(
    tmp_path: Path, umask: int, mode: int | None, expected: int
) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file", b"x", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


def test_file_and_name_are_on_the_disk_on_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)), fsync(fd)))
    write_atomic(tmp_path / "a", "x")
    write_once(tmp_path / "b", "x")
    with durable_stream(tmp_path / "c") as stream:
        stream.write(b"x")
    assert synced == [False, True, False, True, False]


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "a\r\nü\n")
    assert (tmp_path / "file").read_bytes() == "a\r\nü\n".encode()
