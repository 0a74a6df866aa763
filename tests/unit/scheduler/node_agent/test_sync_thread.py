"""The thread that exchanges files, on storages that are away, slow or full of garbage."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from node_agents import wait_until

from spotwise.checkpoints import StorageError, storage_for
from spotwise.scheduler.node_agent.bucket import Bucket
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.exchange import Exchange, SharedFolder
from spotwise.scheduler.node_agent.node_name import NodeName
from spotwise.scheduler.node_agent.peers import NodeState
from spotwise.scheduler.node_agent.sync_thread import SyncThread
from spotwise.scheduler.node_agent.task import SpendingLimit, StopRequest
from spotwise.scheduler.node_agent.timeouts import Timeouts

FIRST = NodeName("job-a1", 1, 0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Timeouts.from_env({"SPOTWISE_NODE_PATIENCE": "0.01"})
STOP_REQUEST = StopRequest(NOW, 7.0)


class Away(Bucket):
    """A bucket that can be out of reach, and that can hang."""

    is_away = False

    def __init__(self, folder: Path, node: NodeName) -> None:
        self.storage = storage_for(f"memory://{uuid.uuid4()}")
        self.go_on = threading.Event()
        self.go_on.set()
        self.hangs = threading.Event()
        super().__init__(self.storage, folder, node, 0.01)

    def pull(self, names: Iterable[str]) -> None:
        self._reach()
        super().pull(names)

    def push(self) -> None:
        self._reach()
        super().push()

    def _reach(self) -> None:
        if not self.go_on.is_set():
            self.hangs.set()
            self.go_on.wait(60)
        if self.is_away:
            raise StorageError("out of reach")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Away]:
    made = Away(tmp_path, FIRST)
    yield made
    made.go_on.set()


def make_sync(exchange: Exchange, node: NodeName = FIRST, nodes: int = 1, timeouts: Timeouts = QUICK) -> SyncThread:
    return SyncThread(exchange, node, nodes, timeouts, lambda: NOW)


def test_a_stop_request_that_is_there_before_the_start_is_known_when_start_returns(tmp_path: Path) -> None:
    shared = SharedFolder(tmp_path, 60.0)
    storage_for(str(tmp_path)).put(f"{FIRST.attempt}/terminate.json", STOP_REQUEST.to_json().encode())
    sync = make_sync(shared)
    sync.start()
    assert sync.stop_request == STOP_REQUEST
    sync.stop()


def test_a_stop_request_behind_a_url_is_seen_at_the_next_look(bucket: Away) -> None:
    sync = make_sync(bucket)
    sync.start()
    assert sync.stop_request is None
    bucket.storage.put(f"{FIRST.attempt}/terminate.json", STOP_REQUEST.to_json().encode())
    wait_until(lambda: sync.stop_request == STOP_REQUEST, "the stop request")
    sync.stop()


def test_a_limit_that_is_told_later_is_seen_at_the_next_look(bucket: Away) -> None:
    sync = make_sync(bucket)
    sync.start()
    assert sync.limit is None
    bucket.storage.put(f"{FIRST.attempt}/limit.json", SpendingLimit(90.0).to_json().encode())
    wait_until(lambda: sync.limit == SpendingLimit(90.0), "the limit")
    sync.stop()


def test_a_stop_request_stays_known_when_its_file_is_gone(bucket: Away) -> None:
    sync = make_sync(bucket)
    bucket.storage.put(f"{FIRST.attempt}/terminate.json", STOP_REQUEST.to_json().encode())
    sync.start()
    (bucket.folder / FIRST.attempt / "terminate.json").unlink()
    bucket.storage.delete(f"{FIRST.attempt}/terminate.json")
    sync.look_again(5.0)
    assert sync.stop_request == STOP_REQUEST
    sync.stop()


def test_what_is_written_while_the_storage_is_away_arrives_later(
    bucket: Away, caplog: pytest.LogCaptureFixture
) -> None:
    sync = make_sync(bucket)
    bucket.is_away = True
    sync.start()
    (bucket.folder / "progress.jsonl").write_text("one\n")
    sync.look_again(5.0)
    sync.look_again(5.0)
    assert bucket.storage.files("") == {}
    bucket.is_away = False
    wait_until(lambda: "progress.jsonl" in bucket.storage.files(""), "progress")
    sync.stop()
    assert sync.finish()
    assert sum("cannot write" in line for line in caplog.messages) == 1  # said once, however often it was tried


def test_a_network_that_hangs_keeps_nobody_waiting(bucket: Away) -> None:
    """look_again() is called while SIGTERM's grace runs."""
    sync = make_sync(bucket)
    sync.start()
    bucket.go_on.clear()
    sync.look_again(0.05)
    assert bucket.hangs.wait(60)
    sync.tell(NodeState(0, cause=EndCause.PREEMPTED))
    sync.hurry()
    sync.stop()
    assert not sync.finish()


def test_the_last_files_are_tried_again_until_the_storage_is_back(bucket: Away) -> None:
    sync = make_sync(bucket, timeouts=Timeouts())
    sync.start()
    sync.stop()
    bucket.is_away = True
    (bucket.folder / "progress.jsonl").write_text("last\n")
    threading.Timer(0.2, lambda: setattr(bucket, "is_away", False)).start()
    assert sync.finish()
    assert bucket.storage.read("progress.jsonl") == b"last\n"


def test_a_storage_that_stays_away_is_given_up(bucket: Away) -> None:
    sync = make_sync(bucket)
    sync.start()
    sync.stop()
    bucket.is_away = True
    assert not sync.finish()


def test_a_node_beats_as_long_as_it_lives_and_keeps_what_it_told(tmp_path: Path) -> None:
    sync = make_sync(SharedFolder(tmp_path, 0.01), nodes=2)
    sync.start()
    sync.tell(NodeState(0, cause=EndCause.PREEMPTED, grace_s=9.0))

    def state() -> NodeState | None:
        return NodeState.from_json((tmp_path / FIRST.state).read_bytes())

    wait_until(lambda: (seen := state()) is not None and seen.cause is EndCause.PREEMPTED and seen.beat > 5, "beats")
    sync.stop()


def test_the_others_are_heard_and_one_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    sync = make_sync(SharedFolder(tmp_path, 0.01), nodes=3)
    storage = storage_for(str(tmp_path))
    storage.put(f"{FIRST.attempt}/node-1.json", b"garbage")
    storage.put(f"{FIRST.attempt}/node-2.json", NodeState(2, 1, cause=EndCause.PREEMPTED).to_json())
    sync.start()
    fault = sync.peers.fault()
    assert fault is not None
    assert fault.rank == 2
    sync.stop()


def test_a_node_with_a_newer_version_hides_no_other_and_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sync = make_sync(SharedFolder(tmp_path, 0.01), nodes=3)
    storage = storage_for(str(tmp_path))
    storage.put(f"{FIRST.attempt}/node-1.json", b'{"rank": 1, "format": 2}')
    storage.put(f"{FIRST.attempt}/node-2.json", NodeState(2, 1, cause=EndCause.PREEMPTED).to_json())
    sync.start()
    sync.look_again(1.0)
    sync.look_again(1.0)
    sync.stop()
    fault = sync.peers.fault()
    assert fault is not None
    assert fault.rank == 2
    assert caplog.text.count("another node has format 2") == 1


def test_a_node_that_is_over_hears_when_the_first_has_ended(tmp_path: Path) -> None:
    sync = make_sync(SharedFolder(tmp_path, 0.01), NodeName("job-a1", 1, 1), nodes=2)
    storage_for(str(tmp_path)).put(
        FIRST.events, b'{"event": "ended", "cause": "exited", "time": "2026-01-01T00:00:00+00:00"}\n'
    )
    sync.start()
    assert not sync.first_has_ended
    sync.tell(NodeState(1, is_over=True, cause=EndCause.EXITED, exit_code=3))
    wait_until(lambda: sync.first_has_ended, "the first node's end")
    sync.stop()
