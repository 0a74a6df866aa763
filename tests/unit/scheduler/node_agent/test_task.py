from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spotwise.checkpoints.lent_packages import PACKAGES_VARIABLE
from spotwise.scheduler.node_agent.place import Place
from spotwise.scheduler.node_agent.task import NodeTask, NodeTaskError, SpendingLimit, StopRequest
from spotwise.scheduler.node_agent.timeouts import Timeouts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = NodeTask("job-a1", "job", NOW, setup="s", command="c", nodes=2, cloud="aws", stop_after_s=1.5)
ENVIRON = {"SPOTWISE_ATTEMPT_ID": "job-a1", "SPOTWISE_ATTEMPT": "1", "SPOTWISE_RUN_URL": "/run"}


def test_a_request_is_read_as_it_was_written() -> None:
    assert NodeTask.from_json(TASK.to_json(), source="here") == TASK


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"format": 99}', '{"format": 1, "new": 2}'])
def test_what_is_no_request_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(NodeTaskError, match="here is no request"):
        NodeTask.from_json(text, source="here")


def test_a_request_of_another_format_is_refused() -> None:
    newer = json.dumps({**json.loads(TASK.to_json()), "format": 2})
    with pytest.raises(NodeTaskError, match="format is 2, not 1"):
        NodeTask.from_json(newer, source="here")


def test_a_stop_request_is_read_as_it_was_written() -> None:
    stop_request = StopRequest(NOW, 12.5)
    assert StopRequest.from_json(stop_request.to_json(), seen_at=datetime.now(UTC)) == stop_request


@pytest.mark.parametrize("grace", ["NaN", "Infinity", "-1", "1e300", '"soon"', "null"])
def test_a_stop_request_whose_grace_is_no_time_has_none(grace: str) -> None:
    text = f'{{"asked_at": "2026-01-01T00:00:00+00:00", "grace_s": {grace}}}'
    assert StopRequest.from_json(text, seen_at=NOW) == StopRequest(NOW, 0.0)


def test_a_stop_request_of_a_newer_format_still_is_one() -> None:
    """To end an attempt without its grace is better than to let it run on."""
    readable = '{"asked_at": "2026-01-01T00:00:00+00:00", "grace_s": 5, "format": 2, "why": "maintenance"}'
    assert StopRequest.from_json(readable, seen_at=NOW) == StopRequest(NOW, 5.0)
    assert StopRequest.from_json('{"format": 2, "within": "5 s"}', seen_at=NOW) == StopRequest(NOW, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"stop_after_s": null}',
        '{"stop_after_s": NaN}',
        '{"stop_after_s": 1e999}',
        '{"stop_after_s": [1]}',
    ],
)
def test_a_limit_that_is_none_leaves_the_requests_own(text: str) -> None:
    assert SpendingLimit.from_json(text) is None


@pytest.mark.parametrize(
    "change", [{"SPOTWISE_ATTEMPT": "one"}, {"SKYPILOT_NODE_RANK": "x"}, {"SPOTWISE_NODE_PATIENCE": "much"}]
)
def test_an_environment_that_is_not_an_attempts_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(NodeTaskError, match="only engines start this"):
        Place.from_env({**ENVIRON, **change})


@pytest.mark.parametrize("missing", ENVIRON)
def test_what_is_missing_in_the_environment_is_named(missing: str) -> None:
    with pytest.raises(NodeTaskError, match=missing):
        Place.from_env({name: value for name, value in ENVIRON.items() if name != missing})


def test_two_nodes_that_share_a_home_share_neither_copies_nor_lock() -> None:
    first, second = (Place.from_env({**ENVIRON, "SKYPILOT_NODE_RANK": rank}) for rank in "01")
    assert first.home == second.home
    assert first.scratch != second.scratch
    assert first.lock != second.lock


def test_the_program_keeps_its_own_environment(tmp_path: Path) -> None:
    place = Place.from_env({**ENVIRON, "SPOTWISE_LIBRARY": "/library"})
    env = place.environment(tmp_path, {"MINE": "1", "PYTHONPATH": "/mine"})
    assert (env["MINE"], env["PYTHONPATH"]) == ("1", "/library:/mine")
    assert env["SPOTWISE_PROGRESS_URL"] == str(tmp_path / "progress.jsonl")
    assert env[PACKAGES_VARIABLE].endswith("site-packages")


def test_one_factor_shortens_all_patience() -> None:
    assert Timeouts.from_env({"SPOTWISE_NODE_PATIENCE": "0.5"}).silent_s == Timeouts().silent_s / 2
    assert Timeouts.from_env({}) == Timeouts()
