"""`spotwise gc --checkpoints`: what lies there is listed first, and goes when that is confirmed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import run

from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.store.store import Store

ENDED = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def checkpoint(home: Path, tmp_path: Path) -> Path:
    """A file of an ended run's checkpoint."""
    home.mkdir()
    with_folder = run("old-1", folder=str(tmp_path / "old-1"), state=RunState.COMPLETED, ended_at=ENDED)
    store = Store.open(f"sqlite:///{home / 'spotwise.db'}")
    store.add_run(with_folder, "old")
    store.close()
    file = tmp_path / "old-1" / "checkpoints" / "step-000000001" / "state.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 2_000_000)
    return file


def call(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli, ["gc", "--checkpoints", *arguments], input=answer, standalone_mode=False)


def test_nothing_goes_before_it_was_listed_and_confirmed(checkpoint: Path) -> None:
    refused = call(answer="n\n")
    assert "old-1" in refused.output
    assert "2.0" in refused.output
    assert "Remove checkpoints in 1 place, 2.0 MB?" in refused.output
    assert refused.return_value == 4
    assert checkpoint.exists()
    assert call("--yes").return_value == 0
    assert not checkpoint.exists()


def test_programs_see_the_same_and_remove_nothing_without_yes(checkpoint: Path) -> None:
    seen = call("--json", "--older-than", "1h", "--run", "old-1")
    document = json.loads(seen.output)
    assert [(each["run"], each["bytes"], each["need"]) for each in document["checkpoints"]] == [
        ("old-1", 2_000_000, "nobody")
    ]
    assert document["removed"] == []
    assert document["left"] == [str(checkpoint.parents[1])]
    assert seen.return_value == 4
    assert checkpoint.exists()
    removed = json.loads(call("--json", "--yes").output)
    assert removed["removed"] == [str(checkpoint.parents[1])]
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("option", "value", "said"), [("--run", "nobody", "no run nobody"), ("--older-than", "soon", "--older-than: found")]
)
def test_a_slip_in_an_option_removes_nothing(checkpoint: Path, option: str, value: str, said: str) -> None:
    result = call(option, value, "--yes")
    assert said in str(result.exception)
    assert checkpoint.exists()
