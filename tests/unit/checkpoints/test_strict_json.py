"""What a machine wrote is read strictly: typed, finite, bounded in size and depth. All else is one kind of error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from spotwise.checkpoints.errors import CorruptError
from spotwise.checkpoints.manifest import decode_manifest
from spotwise.checkpoints.progress import decode_record
from spotwise.checkpoints.strict_json import DEEPEST, LONGEST_BYTES, Fields, UnreadableError, parse_json
from spotwise.scheduler.node_agent.events import parse_events
from spotwise.scheduler.node_agent.peers import NodeState
from spotwise.scheduler.node_agent.task import NodeTask, NodeTaskError, StopRequest
from spotwise.scheduler.tuning.study.events import parse_events as parse_study

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TIME = '"time": "2026-03-01T12:00:00+00:00"'
HOSTILE = {  # a value where a machine wrote a number, a text or a time
    "infinite": "Infinity",
    "not a number": "NaN",
    "beyond floats": "1e400",
    "of 60 digits": "9" * 60,
    "of 10,000 digits": "9" * 10_000,
    "beyond a database's integers": str(2**40),
    "negative": "-1",
    "a half": "0.5",
    "a list": "[1]",
    "an object": '{"a": 1}',
    "true": "true",
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "half a character": '"\\ud800"',
}
TIMES = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:00:00",
    "2200-01-01",
    "now",
]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_number_is_no_progress_no_event_and_no_checkpoint(value: str) -> None:
    assert decode_record(f'{{"event": "progress", {TIME}, "epoch": {value}}}'.encode()) is None
    assert parse_events(f'{{"event": "ended", {TIME}, "cause": "exited", "exit_code": {value}}}'.encode()) == [] or (
        value == "-1"
    )
    assert parse_study(f'{{"event": "reported", {TIME}, "attempt": 1, "trial": 0, "epoch": {value}}}'.encode()) == []
    assert parse_study(f'{{"event": "started", {TIME}, "attempt": 1, "trial": 0, "share": {value}}}'.encode()) == []
    assert NodeState.from_json(f'{{"rank": {value}}}'.encode()) is None
    digest = '{"state.pt": {"sha256": "' + "a" * 64 + '", "bytes": 1}}'
    manifest = f'{{"format": 1, "epoch": {value}, "step": 1, "metrics": {{}}, "created": "2026-03-01", "host": "h", '
    with pytest.raises(CorruptError):
        decode_manifest((manifest + f'"attempt": 1, "files": {digest}}}').encode(), source="m")
    with pytest.raises(NodeTaskError):
        NodeTask.from_json(
            f'{{"format": 1, "attempt_id": "a", "run_id": "r", "asked_at": "2026-03-01", "setup": "", "command": "", '
            f'"nodes": {value}}}',
            source="request.json",
        )


@pytest.mark.parametrize("value", [value for value in HOSTILE.values() if value not in (str(2**40), "0.5")])
def test_a_damaged_request_to_stop_still_is_one_without_grace(value: str) -> None:
    text = f'{{"asked_at": "2026-02-01T00:00:00Z", "grace_s": {value}}}'
    assert StopRequest.from_json(text, seen_at=NOW) == StopRequest(NOW, 0.0)


@pytest.mark.parametrize("text", TIMES)
def test_a_time_in_no_possible_year_is_unreadable_everywhere(text: str) -> None:
    assert decode_record(f'{{"event": "progress", "time": "{text}"}}'.encode()) is None
    assert parse_events(f'{{"event": "launched", "time": "{text}"}}'.encode()) == []
    assert parse_study(f'{{"event": "finished", "time": "{text}", "attempt": 1}}'.encode()) == []
    assert StopRequest.from_json(f'{{"asked_at": "{text}", "grace_s": 5}}', seen_at=NOW).asked_at == NOW


@pytest.mark.parametrize("share", ["1/0", "0", "-1/2", "3/2", "0/5", "1e9", "1/" + "9" * 400, "1_0/20", " 1/2", ""])
def test_a_share_that_is_none_is_no_event_of_a_study(share: str) -> None:
    line = {"event": "started", "time": NOW.isoformat(), "attempt": 1, "trial": 0, "share": share}
    assert parse_study(json.dumps(line).encode()) == []


@pytest.mark.parametrize("data", [{}, {"cause": None}, {"cause": 5}, {"cause": "exited", "exit_code": "0"}])
def test_an_end_without_what_belongs_to_it_is_no_end(data: dict[str, object]) -> None:
    assert parse_events(json.dumps({"event": "ended", "time": NOW.isoformat(), **data}).encode()) == []


@pytest.mark.parametrize(
    ("metrics", "read"),
    [('{"loss": NaN}', "nan"), ('{"loss": Infinity}', "inf"), ('{"loss": "-inf"}', "-inf"), ('{"loss": 1e999}', "inf")],
)
def test_a_metric_may_be_what_json_has_no_number_for(metrics: str, read: str) -> None:
    """Python's json module writes NaN and Infinity unless told otherwise."""
    record = decode_record(f'{{"event": "progress", {TIME}, "epoch": 3, "metrics": {metrics}}}'.encode())
    assert record is not None
    assert (record.epoch, str(record.metrics["loss"])) == (3, read)


def test_a_text_is_bounded_in_size_and_depth() -> None:
    assert parse_json(b"[" * DEEPEST + b"]" * DEEPEST)
    for data in (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), b'"' + b"a" * LONGEST_BYTES + b'"', b"[" * 10**6):
        with pytest.raises(UnreadableError):
            parse_json(data)


@pytest.mark.parametrize("call", [Fields.text, Fields.flag, Fields.whole, Fields.number, Fields.moment])
@pytest.mark.parametrize("value", [None, [], {}])
def test_a_field_that_is_missing_or_of_another_type_is_named(
    call: Callable[[Fields, str], object], value: object
) -> None:
    with pytest.raises(UnreadableError, match="'n'"):
        call(Fields({"n": value}), "n")


def test_a_whole_number_may_be_written_as_a_float_by_other_languages() -> None:
    assert Fields.of(b'{"epoch": 3.0}').whole("epoch") == 3
