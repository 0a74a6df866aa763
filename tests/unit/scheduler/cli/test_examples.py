"""Help shows an example of each command that works; runs are completed and need not be named."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import factories
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from spotwise.scheduler.cli.examples import EXAMPLES, commands_of
from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.store import Store

COMMANDS = dict(commands_of(cli))


def test_each_command_has_an_example() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_in_the_help_and_parses(name: str) -> None:
    program, *words = shlex.split(EXAMPLES[name].partition(" > ")[0])
    asked = name.split()
    assert (program, words[: len(asked)]) == ("spotwise", asked)
    command = COMMANDS[name]
    command.make_context(name, words[len(asked) :])
    said = CliRunner().invoke(cli, [*asked, "--help"]).output
    assert EXAMPLES[name] in " ".join(said.split())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    store = Store.open(f"sqlite:///{tmp_path / 'spotwise.db'}")
    for number, run_id in enumerate(["digits-aaaaaa", "digits-bbbbbb", "shelf-cccccc"]):
        submitted = factories.at(number)
        store.add_run(factories.run(run_id, engine="local", folder=str(tmp_path), submitted_at=submitted), run_id)
    store.close()
    return tmp_path


def completed(words: list[str], begun: str) -> list[str]:
    return [
        item.value for item in ShellComplete(cli, {}, "spotwise", "_SPOTWISE_COMPLETE").get_completions(words, begun)
    ]


@pytest.mark.parametrize("command", ["status", "logs", "cancel", "history"])
def test_ids_of_runs_complete_the_newest_first(home: Path, command: str) -> None:
    assert completed([command], "digits") == ["digits-bbbbbb", "digits-aaaaaa"]


def test_a_store_that_cannot_be_read_completes_nothing(home: Path) -> None:
    (home / "spotwise.db").write_bytes(b"damaged" * 1000)
    assert completed(["status"], "") == []


def test_logs_without_an_id_are_those_of_the_newest_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("spotwise.scheduler.cli.watch.print_logs", lambda _app, run_id, **_: asked.append(run_id))
    CliRunner().invoke(cli, ["logs"])
    CliRunner().invoke(cli, ["logs", "digits-aaaaaa"])
    assert asked == ["shelf-cccccc", "digits-aaaaaa"]


def test_logs_of_a_home_without_runs_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "new"))
    result = CliRunner().invoke(cli, ["logs"])
    assert "spotwise submit JOB.yaml" in str(result.exception)


def test_help_of_every_command_is_whole() -> None:
    assert all(isinstance(command, click.Command) and command.epilog for command in COMMANDS.values())
