"""What is made of SkyPilot's own answers: its errors by kind, its words without colours."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from spotwise.scheduler.engines.skypilot.public import PublicSky
from spotwise.scheduler.engines.skypilot.sky import Landing, SkyUnreachableError, TaskRefusedError


def sky_that(monkeypatch: pytest.MonkeyPatch, **calls: Any) -> PublicSky:
    monkeypatch.setitem(sys.modules, "sky", SimpleNamespace(**calls))
    return PublicSky()


def sky_with_places(monkeypatch: pytest.MonkeyPatch, refusals: dict[str | None, Exception]) -> PublicSky:
    """SkyPilot that refuses tasks by where they are to run; None: whatever the place."""

    def from_yaml_config(task: dict[str, Any]) -> None:
        if (refusal := refusals.get(task["resources"].get("infra"))) is not None:
            raise refusal

    class Dag:
        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *_: object) -> None: ...

        def add(self, _: object) -> None: ...

    client = SimpleNamespace(sdk=SimpleNamespace(validate=lambda _: None))
    monkeypatch.setitem(sys.modules, "sky.client", client)
    return sky_that(monkeypatch, Task=SimpleNamespace(from_yaml_config=from_yaml_config), Dag=Dag, client=client)


def refusing(error: Exception) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return SimpleNamespace(from_yaml_config=refuse)


def error_of(name: str) -> Exception:
    """One of SkyPilot's, of which only the name is looked at."""
    return type(name, (Exception,), {})("no")


@pytest.mark.parametrize(
    ("error", "for_good", "of_place"),
    [
        (error_of("StorageSourceError"), True, False),
        (error_of("InvalidSkyPilotConfigError"), True, False),
        (ValueError("no such zone"), False, True),
        (AssertionError("this cloud has no zones"), False, True),
        (error_of("NotSupportedError"), False, True),
        (error_of("ResourcesMismatchError"), False, True),
        (error_of("UserRequestRejectedByPolicy"), False, True),
        (json.JSONDecodeError("broken answer", "", 0), False, False),
        (PermissionError("the upload was cut"), False, False),
    ],
)
def test_a_task_is_refused_for_good_where_it_is_wrong_in_itself_and_else_in_this_place(
    monkeypatch: pytest.MonkeyPatch, error: Exception, for_good: bool, of_place: bool
) -> None:
    sky = sky_with_places(monkeypatch, {"aws": error})
    with pytest.raises(TaskRefusedError, match=f"SkyPilot: .*{type(error).__name__}") as caught:
        sky.launch("c", {"resources": {"infra": "aws", "disk_tier": "ultra"}}, 10)
    assert (caught.value.for_good, caught.value.of_place) == (for_good, of_place)


def test_what_skypilot_has_against_a_task_wherever_it_runs_is_the_tasks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sky = sky_with_places(monkeypatch, {"aws": ValueError("no such key"), None: ValueError("no such key")})
    with pytest.raises(TaskRefusedError) as caught:
        sky.launch("c", {"resources": {"infra": "aws"}}, 10)
    assert caught.value.for_good


def test_a_server_that_is_not_there_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = type("ApiServerConnectionError", (RuntimeError,), {})("no server")
    with pytest.raises(SkyUnreachableError):
        sky_that(monkeypatch, Task=refusing(gone)).launch("c", {}, 10)


@pytest.mark.parametrize(
    ("error", "of_request", "of_place"),
    [
        (error_of("StorageSpecError"), True, False),
        (ValueError("no such image"), False, True),
        (error_of("NotSupportedError"), False, True),
        (RuntimeError("it broke"), False, False),
    ],
)
def test_a_failed_launch_says_whether_the_task_is_to_blame_or_the_place(
    monkeypatch: pytest.MonkeyPatch, error: Exception, of_request: bool, of_place: bool
) -> None:
    def get(_: str) -> None:
        raise error

    found = sky_that(monkeypatch, get=get).failure("r")
    assert (found.of_request, found.of_place) == (of_request, of_place)


def test_features_that_a_cloud_lacks_are_skypilots_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class NotSupportedError(Exception): ...

    class Feature(Enum):
        MULTI_NODE = "multi-node"
        OPEN_PORTS = "open_ports"

    class Cloud:
        def __init__(self, *lacks: Feature) -> None:
            self.lacks = set(lacks)

        def check_features_are_supported(self, _: object, features: set[Feature]) -> None:
            if features & self.lacks:
                raise NotSupportedError

    clouds = {"aws": Cloud(), "runpod": Cloud(Feature.MULTI_NODE)}
    row = {"instance_type": "m", "accelerator_name": "T4", "accelerator_count": 1, "cpu_count": 4, "memory": 16}
    found = [SimpleNamespace(cloud=name, region="r", price=1.0, spot_price=None, **row) for name in ("AWS", "RunPod")]
    sdk = SimpleNamespace(list_accelerators=lambda **_: "r", get=lambda _: {"T4": found})
    monkeypatch.setitem(sys.modules, "sky.client", SimpleNamespace(sdk=sdk))
    monkeypatch.setitem(sys.modules, "sky.clouds", SimpleNamespace(CloudImplementationFeatures=Feature))
    sky = sky_that(
        monkeypatch,
        CLOUD_REGISTRY=SimpleNamespace(from_str=clouds.__getitem__),
        Resources=lambda cloud: cloud,
        exceptions=SimpleNamespace(NotSupportedError=NotSupportedError),
    )
    rows = sky.instance_types(["aws", "runpod"])
    assert {one.cloud: one.unsupported for one in rows} == {"aws": (), "runpod": ("multi-node",)}


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
