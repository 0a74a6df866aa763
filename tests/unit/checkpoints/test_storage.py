"""One contract for every storage; `make test-s3` runs it on S3 too."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import sysconfig
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from storages import KINDS, empty_place

from spotwise.checkpoints import ProgressEvent, ProgressReader, ProgressRecord, ProgressWriter, Storage, StorageError
from spotwise.checkpoints.lent_packages import PACKAGES_VARIABLE, packages_of_this_python
from spotwise.checkpoints.progress_log import utc_now
from spotwise.checkpoints.storage import LocalStorage, locate_file, storage_for


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made = storage_for(empty_place(request.param, tmp_path))
    yield made
    made.remove("." if request.param in ("local", "file URL") else "")


def test_a_stream_is_read_back(storage: Storage) -> None:
    with storage.create("step/state") as stream:
        stream.write(b"one")
        stream.write(b"two")
    assert storage.read("step/state") == b"onetwo"
    assert storage.size("step/state") == 6


def test_put_replaces_what_was_there(storage: Storage) -> None:
    storage.put("step/manifest", b"a longer text than the next")
    storage.put("step/manifest", b"short")
    assert storage.read("step/manifest") == b"short"


def test_open_gives_a_seekable_stream(storage: Storage) -> None:
    storage.put("step/state", b"0123456789")
    with storage.open("step/state") as stream:
        assert stream.read(4) == b"0123"
        stream.seek(1)
        assert stream.read() == b"123456789"


@pytest.mark.parametrize(("start", "rest"), [(0, b"abc"), (2, b"c"), (3, b""), (9, b"")])
def test_read_from_the_middle(storage: Storage, start: int, rest: bytes) -> None:
    storage.put("step/file", b"abc")
    assert storage.read("step/file", start) == rest


@pytest.mark.parametrize("action", ["read", "open", "size"])
def test_what_is_not_there_is_a_file_not_found(storage: Storage, action: str) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(storage, action)("step/none")


def test_appended_lines_follow_each_other(storage: Storage) -> None:
    for line in (b"one", b"two\n", b"three"):
        storage.append_line("log", line)
    assert storage.read("log") == b"one\ntwo\nthree\n"


def test_an_appended_line_never_continues_a_torn_one(storage: Storage) -> None:
    storage.put("log", b"one\ntor")
    storage.append_line("log", b"two")
    assert storage.read("log") == b"one\ntor\ntwo\n"


def test_folders_are_listed_sorted_and_without_files(storage: Storage) -> None:
    assert storage.folders() == []
    storage.put("file", b"")
    for name in ("step-2", "step-1", "step-10"):
        storage.put(f"{name}/x", b"x")
    assert storage.folders() == ["step-1", "step-10", "step-2"]


def test_delete_and_remove_may_be_repeated(storage: Storage) -> None:
    storage.put("step/a", b"a")
    storage.put("step/b", b"b")
    for _ in range(2):
        storage.delete("step/a")
    assert storage.read("step/b") == b"b"
    for _ in range(2):
        storage.remove("step")
    assert storage.folders() == []


def test_files_are_listed_at_any_depth_with_their_sizes(storage: Storage) -> None:
    assert storage.files("trials") == {}
    storage.put("trials/0001/progress.jsonl", b"abc")
    storage.put("trials/note", b"")
    storage.put("elsewhere", b"x")
    assert storage.files("trials") == {"trials/0001/progress.jsonl": 3, "trials/note": 0}


def test_what_others_write_is_seen_though_the_folder_was_listed_before(storage: Storage) -> None:
    """Clients remember what they have listed, and must not be asked to."""
    storage.put("attempt/request", b"1")
    assert storage.files("attempt") == {"attempt/request": 1}
    assert storage.folders() == ["attempt"]
    _write_elsewhere(storage.url, "attempt/wish", b"two")
    assert storage.read("attempt/wish") == b"two"
    assert storage.size("attempt/wish") == 3
    assert storage.files("attempt") == {"attempt/request": 1, "attempt/wish": 3}


def _write_elsewhere(url: str, name: str, data: bytes) -> None:
    """By another process, or as near as it gets: what is in memory is in this one."""
    if url.startswith("memory://"):
        storage_for(url).put(name, data)
        return
    code = "import sys; from spotwise.checkpoints import storage_for; storage_for(sys.argv[1]).put(sys.argv[2], b'two')"
    subprocess.run([sys.executable, "-c", code, url, name], check=True)


def test_progress_is_followed_on_any_storage(storage: Storage) -> None:
    url = f"{storage.url}/progress.jsonl"
    writer, reader = ProgressWriter(url), ProgressReader(url)
    for epoch in (1, 2):
        writer.write(ProgressRecord(ProgressEvent.PROGRESS, utc_now(), epoch=epoch))
        assert [record.epoch for record in reader.new()] == [epoch]


@pytest.mark.parametrize(
    ("url", "folder", "name"),
    [
        ("/a/b/p.jsonl", "/a/b", "p.jsonl"),
        ("/p.jsonl", "/", "p.jsonl"),
        ("p.jsonl", ".", "p.jsonl"),
        ("memory://a/p.jsonl", "memory://a", "p.jsonl"),
        ("memory://p.jsonl", "memory://", "p.jsonl"),
    ],
)
def test_a_file_is_located_in_its_folder(url: str, folder: str, name: str) -> None:
    storage, found = locate_file(url)
    expected = folder if "://" in folder else str(Path(folder).absolute())
    assert (storage.url, found) == (expected, name)


def test_two_who_put_the_same_file_at_once_do_not_write_into_each_other(storage: Storage) -> None:
    """As two runs that start together do with the wheel in a folder that nodes see."""
    texts = [letter * 200_000 for letter in (b"a", b"b", b"c", b"d")]
    with ThreadPoolExecutor(5) as pool:
        storage.put("wheels/one", texts[0])
        writers = [pool.submit(lambda text: [storage.put("wheels/one", text) for _ in range(20)], t) for t in texts]
        while not all(writer.done() for writer in writers):
            assert storage.read("wheels/one") in texts
    for writer in writers:
        writer.result()
    assert list(storage.files("wheels")) == ["wheels/one"]


def test_two_local_puts_at_the_same_step_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_have_written, sync = threading.Barrier(2, timeout=30), os.fsync

    def wait_for_the_other(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            both_have_written.wait()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", wait_for_the_other)
    texts = [b"a long text", b"short"]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: LocalStorage(tmp_path).put("file", text), texts))
    assert LocalStorage(tmp_path).read("file") in texts


def test_a_local_put_that_fails_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space")))
    with pytest.raises(OSError, match="no space"):
        LocalStorage(tmp_path).put("file", b"text")
    assert list(tmp_path.iterdir()) == []


def test_a_local_put_leaves_no_temporary_file(tmp_path: Path) -> None:
    LocalStorage(tmp_path).put("step/manifest", b"x")
    assert [path.name for path in (tmp_path / "step").iterdir()] == ["manifest"]


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(StorageError, match="nowhere://bucket"):
        storage_for("nowhere://bucket")


def test_a_fault_of_a_clouds_client_becomes_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients such as botocore do not derive their faults from OSError."""
    storage = storage_for(f"memory://{uuid.uuid4()}")
    module: Any = type(sys)("botocore.exceptions")
    module.BotoCoreError = type("BotoCoreError", (Exception,), {})
    module.ClientError = type("ClientError", (Exception,), {})
    monkeypatch.setitem(sys.modules, "botocore.exceptions", module)

    def fail(*_: object, **__: object) -> None:
        raise module.BotoCoreError("no credentials")

    monkeypatch.setattr(vars(storage)["_files"], "pipe_file", fail)
    with pytest.raises(StorageError, match="no credentials"):
        storage.put("a", b"")


def use_memory(**environ: str) -> subprocess.CompletedProcess[str]:
    """In a Python without any package (-S), as a job's own may be."""
    code = "from spotwise.checkpoints import storage_for as s; s('memory://a').put('x', b'1'); print(s('memory://a').read('x'))"
    package = Path(__file__).parents[3] / ".pkg"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), **environ}
    return subprocess.run([sys.executable, "-S", "-c", code], env=environ, capture_output=True, text=True, check=False)


def test_a_python_without_the_packages_borrows_those_of_the_nodes_agent() -> None:
    done = use_memory(**{PACKAGES_VARIABLE: packages_of_this_python()})
    assert done.stdout == "b'1'\n", done.stderr


@pytest.mark.parametrize("lent", ["", f"2.7:{sysconfig.get_paths()['purelib']}", "3.11:/nowhere", "garbage"])
def test_where_nothing_fits_the_fault_says_what_the_jobs_setup_needs(lent: str) -> None:
    done = use_memory(**{PACKAGES_VARIABLE: lent})
    assert done.returncode == 1
    assert "Add 'pip install fsspec' to the job's setup" in done.stderr
