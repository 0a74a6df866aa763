from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spotwise.scheduler.engines.base import Phase
from spotwise.scheduler.engines.local.observation import observation, settled
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.events import NodeEvent, append_event, parse_events, read_events
from spotwise.scheduler.node_agent.message_format import NodeMessageError
from spotwise.scheduler.node_agent.program_end import ProgramEnd

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_event(name: str, second: float = 0, **data: object) -> NodeEvent:
    return NodeEvent(name, START + timedelta(seconds=second), data)


def test_events_are_read_as_they_were_appended(tmp_path: Path) -> None:
    events = [make_event("asked", pid=7), make_event("ended", 1.5, cause="exited", exit_code=0)]
    for event in events:
        append_event(tmp_path / "events.jsonl", event)
    assert read_events(tmp_path / "events.jsonl") == events


def test_no_file_holds_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl") == []


@pytest.mark.parametrize(
    "torn", [b'{"event": "launched", "ti', b"\xff\xfe\n", b"[]\n", b'{"event": "x", "time": "soon"}', b"null", b"{}"]
)
def test_a_torn_line_hides_neither_what_came_before_nor_what_comes_after(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "events.jsonl"
    append_event(path, make_event("asked"))
    with path.open("ab") as log:
        log.write(torn)
    append_event(path, make_event("ended", 2, cause="vanished"))
    assert [event.name for event in read_events(path)] == ["asked", "ended"]


def test_an_event_of_the_version_before_is_read() -> None:
    """It held no format."""
    line = b'{"event": "ended", "time": "2026-01-01T00:00:00+00:00", "cause": "exited", "exit_code": 3, "message": "m"}'
    (ended,) = parse_events(line)
    assert ProgramEnd.from_event(ended) == ProgramEnd(EndCause.EXITED, START, 3, "m")


def test_an_event_with_an_unknown_name_is_read_and_hides_no_other(tmp_path: Path) -> None:
    for name in ("launched", "moved to another rack", "started"):
        append_event(tmp_path / "events.jsonl", make_event(name))
    events = read_events(tmp_path / "events.jsonl")
    assert len(events) == 3
    assert observation(events).phase is Phase.RUNNING


@pytest.mark.parametrize(
    "ended",
    [
        NodeEvent("ended", START, {"cause": "exited"}, format=2),
        NodeEvent("ended", START, {"cause": "abducted"}),
        NodeEvent("ended", START, {}),
    ],
)
def test_an_end_that_this_version_cannot_understand_is_refused_with_what_to_do(ended: NodeEvent) -> None:
    with pytest.raises(NodeMessageError, match="upgrade it"):
        ProgramEnd.from_event(ended)


def test_an_end_is_read_as_it_was_written() -> None:
    end = ProgramEnd(EndCause.PREEMPTED, START, 75, "preempted; the program saved and left")
    assert ProgramEnd.from_event(NodeEvent("ended", START, end.event_data())) == end


def test_processes_that_were_left_are_told_with_the_end() -> None:
    end = ProgramEnd(EndCause.EXITED, START, 0, "it ended")
    assert end.event_data(all_gone=False)["message"] == "it ended; some processes could not be killed"


@pytest.mark.parametrize(
    ("names", "phase"),
    [
        ([], Phase.PROVISIONING),
        (["asked"], Phase.PROVISIONING),
        (["asked", "launched", "setup"], Phase.PROVISIONING),
        (["asked", "launched", "started"], Phase.RUNNING),
        (["asked", "launched", "started", "notice"], Phase.RUNNING),
    ],
)
def test_the_phase_follows_from_the_events(names: list[str], phase: Phase) -> None:
    assert observation([make_event(name) for name in names]).phase is phase


def test_a_node_gone_before_the_machine_was_up_bills_nothing() -> None:
    end = settled(START, [make_event("asked")], START + timedelta(seconds=3))
    seen = observation([make_event("asked"), end])
    assert (seen.cause, seen.launched_at) == (EndCause.NO_CAPACITY, None)


def test_a_vanished_machine_lived_until_its_last_sign() -> None:
    """The newest of heartbeat and events, whichever it is."""
    events = [make_event("asked"), make_event("launched", 1), make_event("started", 2)]
    assert settled(START, events, START + timedelta(seconds=9)).time == START + timedelta(seconds=9)
    assert settled(START, events, START + timedelta(seconds=1)).time == START + timedelta(seconds=2)
    assert settled(START, events, None).time == START + timedelta(seconds=2)
