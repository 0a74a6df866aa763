"""What is made of SkyPilot's own answers: its errors by kind, its words without colours."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from spotwise.scheduler.engines.skypilot.public import PublicSky
from spotwise.scheduler.engines.skypilot.sky import Landing, SkyUnreachableError, TaskRefusedError


def sky_that(monkeypatch: pytest.MonkeyPatch, **calls: Any) -> PublicSky:
    monkeypatch.setitem(sys.modules, "sky", SimpleNamespace(**calls))
    return PublicSky()


def refusing(error: Exception) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return SimpleNamespace(from_yaml_config=refuse)


@pytest.mark.parametrize(
    ("error", "for_good"),
    [
        (ValueError("no such key"), True),
        (json.JSONDecodeError("broken answer", "", 0), False),
        (PermissionError("the upload was cut"), False),
    ],
)
def test_only_a_task_that_is_wrong_in_itself_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, error: Exception, for_good: bool
) -> None:
    sky = sky_that(monkeypatch, Task=refusing(error))
    with pytest.raises(TaskRefusedError, match=f"SkyPilot: .*{type(error).__name__}") as caught:
        sky.launch("c", {}, 10)
    assert caught.value.for_good is for_good


def test_a_server_that_is_not_there_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = type("ApiServerConnectionError", (RuntimeError,), {})("no server")
    with pytest.raises(SkyUnreachableError):
        sky_that(monkeypatch, Task=refusing(gone)).launch("c", {}, 10)


@pytest.mark.parametrize(
    ("error", "of_request"), [(ValueError("no such key"), True), (RuntimeError("it broke"), False)]
)
def test_a_failed_launch_says_whether_the_task_is_to_blame(
    monkeypatch: pytest.MonkeyPatch, error: Exception, of_request: bool
) -> None:
    def get(_: str) -> None:
        raise error

    assert sky_that(monkeypatch, get=get).failure("r").of_request is of_request


def test_last_lines_come_without_colours_and_without_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def tail_logs(*_: Any, output_stream: Any, **__: Any) -> None:
        output_stream.write("\x1b[36m(sky-cmd, pid=7)\x1b[0m one\x1b[K\n\n\x1b]0;title\x07two\n")

    assert sky_that(monkeypatch, tail_logs=tail_logs).last_lines("c") == ["(sky-cmd, pid=7) one", "two"]


def cost_report(**changes: Any) -> dict[str, Any]:
    report = {
        "name": "c",
        "launched_at": 100,
        "duration": 72,
        "num_nodes": 2,
        "resources": SimpleNamespace(zone="us-east-1b"),
        "total_cost": 0.72 * 2 * 72 / 3600,
    }
    return {**report, **changes}


def landed(monkeypatch: pytest.MonkeyPatch, *reports: dict[str, Any]) -> Landing | None:
    sky = sky_that(monkeypatch, cost_report=lambda days: "r", get=lambda _: list(reports))
    return sky.landed("c")


def test_where_a_cluster_landed_and_what_a_node_costs_there_is_in_the_cost_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = cost_report(launched_at=50, resources=SimpleNamespace(zone="us-east-1a"))
    other = cost_report(name="d", launched_at=200)
    assert landed(monkeypatch, other, earlier, cost_report()) == Landing("us-east-1b", Decimal("0.72"))


@pytest.mark.parametrize("change", [{"resources": None}, {"duration": 0}, {"duration": None}, {"name": "d"}])
def test_what_is_not_in_the_cost_report_yet_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    assert landed(monkeypatch, cost_report(**change)) is None


@pytest.mark.parametrize("cost", [0.0, None])
def test_a_cluster_that_skypilot_has_no_price_for_is_no_cluster_that_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, cost: float | None
) -> None:
    found = landed(monkeypatch, cost_report(total_cost=cost, resources=SimpleNamespace(zone=None)))
    assert found == Landing("", None)
