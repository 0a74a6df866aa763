"""What is made of SkyPilot's own answers: its errors by kind, its words without colours."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from spotwise.scheduler.engines.skypilot.public import PublicSky
from spotwise.scheduler.engines.skypilot.sky import SkyUnreachableError, TaskRefusedError


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
