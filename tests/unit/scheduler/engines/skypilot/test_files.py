"""An attempt's files at its run's URL: the journal a new supervisor goes on from, the stop request; what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import T0, at

from spotwise.checkpoints import Storage, storage_for
from spotwise.checkpoints.storage import LocalStorage
from spotwise.scheduler.engines.base import Handle, Observation, Phase
from spotwise.scheduler.engines.skypilot.decide import EndInProgress
from spotwise.scheduler.engines.skypilot.files import AttemptFiles, Journal, LocalCopy, written, written_end
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.task import NodeTask, NodeTaskError, StopRequest

ID = "job-x1-a1"
FOLDER = f"attempts/{ID}"
TASK = NodeTask(ID, "job-x1", T0, "pip install x", "python train.py")
LEFT = EndInProgress(EndCause.PREEMPTED, at(2), 75, "saved", is_away=True)
END = Observation(Phase.ENDED, at(1), at(1.5), at(1.8), at(2), EndCause.PREEMPTED, 75, "saved")

# An attempt's whole life as its journal holds it, and what is known after each entry.
LIFE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("launching", {"request": "r1"}, {"launch": "r1", "launched_at": at(0), "launches": 1}),
    ("launching", {"request": "r2"}, {"launch": "r2", "launched_at": at(1), "launches": 2}),
    ("up", {"at": at(1).isoformat()}, {"up_at": at(1)}),
    ("leaving", written(LEFT), {"leaving": LEFT}),
    ("down", {"request": "r3"}, {"down": "r3", "down_at": at(4)}),
    ("down", {"request": "r4"}, {"down": "r4", "down_at": at(5)}),
    ("ended", written_end(END), {"ended": END}),
]


@pytest.fixture(params=["folder", "memory"])
def handle(request: pytest.FixtureRequest, tmp_path: Path) -> Handle:
    url = str(tmp_path / "storage") if request.param == "folder" else f"memory://{uuid.uuid4()}/job-x1"
    return Handle(ID, str(tmp_path / "run"), url)


@pytest.fixture
def files(handle: Handle) -> AttemptFiles:
    return AttemptFiles(handle)


# the journal


def test_a_supervisor_that_starts_after_any_entry_knows_all_that_was_written(handle: Handle) -> None:
    known = Journal()
    assert AttemptFiles(handle).journal() == known
    for hours, (name, data, news) in enumerate(LIFE):
        AttemptFiles(handle).note(name, at(hours), **data)
        known = replace(known, **news)
        assert AttemptFiles(handle).journal() == known


def test_what_was_just_written_is_folded_as_what_is_read(files: AttemptFiles) -> None:
    known = Journal()
    for hours, (name, data, _) in enumerate(LIFE):
        known = known.after(files.note(name, at(hours), **data))
    assert known == files.journal()


def test_entries_of_newer_versions_are_passed_over(files: AttemptFiles) -> None:
    files.note("launching", at(0), request="r1")
    files.note("resized", at(1), nodes=3)
    assert files.journal() == Journal("r1", at(0), 1)


def test_a_torn_last_entry_is_as_if_it_was_never_written(files: AttemptFiles, handle: Handle) -> None:
    """The supervisor died while it wrote: what it wanted to do, it has not yet done."""
    files.note("launching", at(0), request="r1")
    name = f"{FOLDER}/engine.jsonl"
    torn = files.storage.read(name) + b'{"event": "down", "time": "2026-03-01T12:00:00+00:00", "requ'
    files.storage.put(name, torn)
    assert AttemptFiles(handle).journal() == Journal("r1", at(0), 1)
    files.note("up", at(1), at=at(1).isoformat())
    assert AttemptFiles(handle).journal() == Journal("r1", at(0), 1, up_at=at(1))


@pytest.mark.parametrize("cause", EndCause)
@pytest.mark.parametrize("billed", [True, False])
def test_every_end_is_read_as_it_was_written(files: AttemptFiles, cause: EndCause, billed: bool) -> None:
    end = replace(END, cause=cause) if billed else Observation(Phase.ENDED, None, None, None, at(2), cause, None, "why")
    files.note("ended", at(3), **written_end(end))
    assert files.journal().ended == end


@pytest.mark.parametrize("cause", EndCause)
def test_every_leaving_is_read_as_it_was_written(files: AttemptFiles, cause: EndCause) -> None:
    leaving = EndInProgress(cause, at(1.23456789), None, "line 1\nline 2, ü")
    files.note("leaving", at(2), **written(leaving))
    assert files.journal().leaving == leaving


def test_every_entry_is_one_line_that_says_what_and_when(files: AttemptFiles) -> None:
    for hours, (name, data, _) in enumerate(LIFE):
        files.note(name, at(hours), **data)
    lines = [json.loads(line) for line in files.storage.read(f"{FOLDER}/engine.jsonl").splitlines()]
    assert [(line["event"], line["time"]) for line in lines] == [
        (name, at(hours).isoformat()) for hours, (name, _, _) in enumerate(LIFE)
    ]


# request and stop request


def test_an_attempt_that_nobody_asked_for_has_nothing(files: AttemptFiles) -> None:
    found = (files.task(), files.stop_request(T0), files.events(), files.sign_of_life(), files.journal())
    assert found == (None, None, [], b"", Journal())


def test_a_request_is_written_once(files: AttemptFiles) -> None:
    """Launching again must not move the moment from which its time to come up is counted."""
    files.ask(TASK)
    files.ask(replace(TASK, asked_at=at(5), command="rm -rf /"))
    assert files.task() == TASK


def test_a_damaged_request_is_a_fault_that_names_its_file(files: AttemptFiles) -> None:
    files.storage.put(f"{FOLDER}/request.json", b"{")
    with pytest.raises(NodeTaskError, match=r"attempts/job-x1-a1/request\.json is no request"):
        files.task()


def test_a_later_stop_request_takes_the_place_of_an_earlier_one(files: AttemptFiles) -> None:
    for stop_request in (StopRequest(at(1), 600.0), StopRequest(at(1.1), 5.0)):
        files.request_stop(stop_request)
        assert files.stop_request(at(9)) == stop_request


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"asked_at": "soon", "grace_s": 1}', b'{"grace_s": 5}'])
def test_a_damaged_stop_request_is_one_without_grace_from_when_it_was_first_seen(
    files: AttemptFiles, damaged: bytes
) -> None:
    """Were it always of now, the time that an agent has to act on it would never run out."""
    files.storage.put(f"{FOLDER}/terminate.json", damaged)
    assert [files.stop_request(at(hours)) for hours in (1, 2)] == [StopRequest(at(1), 0.0)] * 2


# the mirror


@pytest.fixture
def there(handle: Handle) -> Storage:
    return storage_for(handle.run_url)


def copy(handle: Handle, name: str) -> bytes | None:
    path = Path(handle.folder) / name
    return path.read_bytes() if path.exists() else None


def test_all_that_grows_is_brought_and_nothing_else(handle: Handle, there: Storage) -> None:
    wanted = [f"{FOLDER}/events.jsonl", f"{FOLDER}/log-0.txt", "study/host-0.jsonl", "trials/0001/log.txt"]
    wanted += ["trials/0001/progress.jsonl", "progress.jsonl"]
    unwanted = [f"{FOLDER}/node-0.json", "attempts/job-x1-a2/log-0.txt", "checkpoints/x.jsonl", "trials/0001/model.pt"]
    for name in (*wanted, *unwanted):
        there.put(name, b"line\n")
    LocalCopy(handle).sync()
    assert [copy(handle, name) for name in wanted] == [b"line\n"] * len(wanted)
    assert [copy(handle, name) for name in unwanted] == [None] * len(unwanted)


def test_only_what_is_new_is_fetched(handle: Handle, there: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    mirror = LocalCopy(handle)
    read = type(there).read

    def noted(storage, name, start=0):
        if storage.url == there.url:  # an engine of an earlier test may still look at its own
            fetched.append((name, start))
        return read(storage, name, start)

    monkeypatch.setattr(type(there), "read", noted)
    for text in (b"one\n", b"one\ntwo\n", b"one\ntwo\n"):
        there.put("progress.jsonl", text)
        mirror.sync()
        assert copy(handle, "progress.jsonl") == text
    assert fetched == [("progress.jsonl", 0), ("progress.jsonl", 4)]


def test_a_file_that_shrank_leaves_its_copy_as_it_is(handle: Handle, there: Storage) -> None:
    """A node that was replaced begins its log anew: what was seen of the old one is not thrown away."""
    for text, expected in (
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"1\n", b"one\ntwo\n"),
        (b"1\n2\n3\n4\n5\n", b"one\ntwo\n5\n"),
    ):
        there.put("progress.jsonl", text)
        LocalCopy(handle).sync()
        assert copy(handle, "progress.jsonl") == expected


def test_a_copy_that_was_cut_short_is_completed(handle: Handle, there: Storage) -> None:
    """A full disk, or a supervisor that was killed while it wrote."""
    there.put(f"{FOLDER}/log-0.txt", b"one\ntwo\n")
    path = Path(handle.folder) / FOLDER / "log-0.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one\nt")
    LocalCopy(handle).sync()
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_log_is_brought_when_it_is_asked_for(handle: Handle, there: Storage) -> None:
    assert not LocalCopy(handle).bring_log(0).exists()
    for text in (b"a\n", b"a\nb\n"):
        there.put(f"{FOLDER}/log-1.txt", text)
        assert LocalCopy(handle).bring_log(1).read_bytes() == text
    assert not LocalCopy(handle).bring_log(0).exists()


@pytest.mark.parametrize("as_url", [str, lambda path: "", lambda path: f"{path}/", lambda path: path.as_uri()])
def test_files_that_are_here_already_are_not_copied_onto_themselves(tmp_path: Path, as_url: Any) -> None:
    there = LocalStorage(tmp_path)
    for name in ("progress.jsonl", f"{FOLDER}/log-0.txt"):
        there.put(name, b"line\n")
    mirror = LocalCopy(Handle(ID, str(tmp_path), as_url(tmp_path)))
    mirror.sync()
    assert mirror.bring_log(0).read_bytes() == b"line\n"
    assert there.read("progress.jsonl") == b"line\n"


MIRRORING = """
import sys; from pathlib import Path
from spotwise.scheduler.engines.base import Handle
from spotwise.scheduler.engines.skypilot.files import LocalCopy
folder, url, size = sys.argv[1:]
path = Path(folder) / "progress.jsonl"
while not path.exists() or path.stat().st_size < int(size):
    LocalCopy(Handle("job-x1-a1", folder, url)).sync()
"""


def test_two_supervisors_that_mirror_at_once_neither_lose_nor_double_a_byte(tmp_path: Path) -> None:
    run, there = tmp_path / "run", LocalStorage(tmp_path / "storage")
    lines = [f"line {number} {'x' * (number % 50)}".encode() for number in range(600)]
    size = sum(len(line) + 1 for line in lines)
    command = [sys.executable, "-c", MIRRORING, str(run), there.url, str(size)]
    both = [subprocess.Popen(command) for _ in range(2)]
    for line in lines:
        there.append_line("progress.jsonl", line)
        time.sleep(0.002)
    assert [process.wait(60) for process in both] == [0, 0]
    assert (run / "progress.jsonl").read_bytes() == there.read("progress.jsonl")


def test_times_are_kept_to_the_microsecond(files: AttemptFiles) -> None:
    moment = T0 + timedelta(microseconds=123456)
    files.note("up", moment, at=moment.isoformat())
    assert files.journal().up_at == moment
