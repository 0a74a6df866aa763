"""A node's copies of a run's files, and the same files behind a URL."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from spotwise.checkpoints import StorageError, storage_for
from spotwise.checkpoints.storage import Storage
from spotwise.scheduler.node_agent.bucket import Bucket
from spotwise.scheduler.node_agent.exchange import SharedFolder, exchange_for
from spotwise.scheduler.node_agent.node_name import NodeName
from spotwise.scheduler.node_agent.timeouts import Timeouts

USUAL = Timeouts()
FIRST = NodeName("job-a2", 2, 0)
SECOND = NodeName("job-a2", 2, 1)

MakeBucket = Callable[..., Bucket]


@pytest.fixture
def there() -> Storage:
    return storage_for(f"memory://{uuid.uuid4()}")


@pytest.fixture
def make_bucket(there: Storage, tmp_path: Path) -> MakeBucket:
    return lambda node=FIRST, storage=there: Bucket(storage, tmp_path / f"scratch-{node.rank}", node, 3.0)


def write(bucket: Bucket, name: str, text: str) -> None:
    path = bucket.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Counting:
    """A storage that keeps the names of what is written to it, in order, and fails for some."""

    def __init__(self, storage: Storage, *failing: str) -> None:
        self._storage, self.failing, self.written = storage, set(failing), list[str]()

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    def put(self, name: str, data: bytes) -> None:
        if name in self.failing:
            raise StorageError("away")
        self.written.append(name)
        self._storage.put(name, data)

    def create(self, name: str) -> object:
        self.written.append(name)
        return self._storage.create(name)


def test_a_folder_that_both_see_is_worked_on_where_it_is_and_looked_at_within_a_second(tmp_path: Path) -> None:
    for url in (str(tmp_path), tmp_path.as_uri()):
        exchange = exchange_for(url, tmp_path / "scratch", FIRST, USUAL)
        assert isinstance(exchange, SharedFolder)
        assert exchange.folder == tmp_path
        assert exchange.pause_s < 1
    assert not (tmp_path / "scratch").exists()


def test_behind_a_url_a_node_works_on_a_copy(tmp_path: Path) -> None:
    exchange = exchange_for(f"memory://{uuid.uuid4()}", tmp_path, FIRST, USUAL)
    assert isinstance(exchange, Bucket)
    assert exchange.folder == tmp_path


def test_what_earlier_attempts_left_is_fetched(there: Storage, make_bucket: MakeBucket) -> None:
    left = ("progress.jsonl", "sweep.json", "study/host-1.jsonl", "trials/0001/progress.jsonl")
    for name in left:
        there.put(name, name.encode())
    there.put("attempts/job-a1/log-0.txt", b"of another attempt")
    bucket = make_bucket()
    bucket.fetch()
    assert [(bucket.folder / name).read_text() for name in left] == list(left)
    assert not (bucket.folder / "attempts/job-a1").exists()


def test_a_fresh_machine_sees_that_its_attempt_has_run_elsewhere(there: Storage, make_bucket: MakeBucket) -> None:
    there.put(FIRST.events, b"{}\n")
    bucket = make_bucket()
    bucket.fetch()
    assert (bucket.folder / FIRST.events).exists()


def test_what_was_fetched_is_pushed_only_once_it_has_changed(there: Storage, make_bucket: MakeBucket) -> None:
    there.put("progress.jsonl", b"one\n")
    bucket = make_bucket(storage=(counting := Counting(there)))
    bucket.fetch()
    bucket.push()
    assert counting.written == []
    write(bucket, "progress.jsonl", "one\ntwo\n")
    bucket.push()
    bucket.push()
    assert counting.written == ["progress.jsonl"]
    assert there.read("progress.jsonl") == b"one\ntwo\n"


def test_events_are_pushed_after_what_they_speak_of(there: Storage, make_bucket: MakeBucket) -> None:
    bucket = make_bucket(storage=(counting := Counting(there)))
    for name in (FIRST.events, FIRST.state, FIRST.log, "progress.jsonl", "trials/0001/progress.jsonl"):
        write(bucket, name, "x")
    bucket.finish()
    assert counting.written[-1] == FIRST.events
    assert FIRST.log in counting.written
    assert len(counting.written) == 5


def test_a_push_that_failed_is_repeated_and_says_nothing_too_early(there: Storage, make_bucket: MakeBucket) -> None:
    bucket = make_bucket(storage=(flaky := Counting(there, "progress.jsonl")))
    write(bucket, "progress.jsonl", "x")
    write(bucket, FIRST.events, "ended")
    with pytest.raises(StorageError):
        bucket.push()
    assert there.files("attempts") == {}
    flaky.failing.clear()
    bucket.push()
    assert there.read("progress.jsonl") == b"x"
    assert there.read(FIRST.events) == b"ended"


def test_nodes_write_only_what_is_theirs(there: Storage, make_bucket: MakeBucket) -> None:
    bucket = make_bucket(SECOND)
    for name in (SECOND.state, SECOND.log, SECOND.events, FIRST.state, "progress.jsonl", "sweep.json"):
        write(bucket, name, "x")
    bucket.finish()
    assert set(there.files("attempts")) == {SECOND.state, SECOND.log}
    assert there.folders() == ["attempts"]


def test_drafts_locks_and_studies_that_publish_themselves_stay_here(there: Storage, make_bucket: MakeBucket) -> None:
    bucket = make_bucket()
    own = "study/host-2.jsonl"
    for name in (
        f"{FIRST.state}.tmp",
        "trials/0001/pid.json",
        "trials/0001/leaving-pid.json",
        "x.lock",
        f"{FIRST.attempt}/save-0",
        own,
    ):
        write(bucket, name, "x")
    bucket.finish()
    assert there.files("") == {}


def test_pull_brings_what_is_named_and_passes_over_what_is_not_there(there: Storage, make_bucket: MakeBucket) -> None:
    there.put(SECOND.state, b"1")
    bucket = make_bucket()
    bucket.pull([SECOND.state, f"{FIRST.attempt}/terminate.json"])
    there.put(SECOND.state, b"2")
    bucket.pull([SECOND.state])
    assert (bucket.folder / SECOND.state).read_text() == "2"
    assert not (bucket.folder / FIRST.attempt / "terminate.json").exists()


def test_other_hosts_studies_are_pulled_as_they_grow_and_the_own_never(there: Storage, make_bucket: MakeBucket) -> None:
    there.put("sweep.json", b"{}")
    bucket = make_bucket()
    bucket.fetch()
    write(bucket, "study/host-2.jsonl", "own")
    there.put("study/host-1.jsonl", b"one\n")
    there.put("study/host-2.jsonl", b"older")
    bucket.pull([])
    there.put("study/host-1.jsonl", b"one\ntwo\n")
    bucket.pull([])
    assert (bucket.folder / "study/host-1.jsonl").read_text() == "one\ntwo\n"
    assert (bucket.folder / "study/host-2.jsonl").read_text() == "own"


def test_logs_wait_for_their_own_turn_and_the_longer_they_are_the_longer(
    there: Storage, make_bucket: MakeBucket
) -> None:
    bucket = make_bucket()
    write(bucket, FIRST.log, "x" * (10 << 20))
    bucket.push()
    assert there.files("attempts") == {}
    bucket.upload_logs()
    assert there.files("attempts") == {FIRST.log: 10 << 20}
    assert bucket.log_pause_s == 40.0
    bucket.upload_logs()
    assert bucket.log_pause_s == 3.0  # nothing new


def test_a_file_that_goes_away_meanwhile_is_no_fault(make_bucket: MakeBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = make_bucket()
    write(bucket, "progress.jsonl", "x")
    monkeypatch.setattr(Path, "stat", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert bucket._stamp("progress.jsonl") == (-1, 0)


def test_copies_are_removed_when_all_is_there(make_bucket: MakeBucket) -> None:
    bucket = make_bucket()
    write(bucket, "progress.jsonl", "x")
    bucket.finish()
    bucket.discard()
    assert not bucket.folder.exists()
