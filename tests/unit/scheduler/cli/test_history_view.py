"""The history as commands show it."""

from __future__ import annotations

import json

import pytest
from factories import T0, at, run

from spotwise.scheduler.cli.history_view import changes_json, migrated_text
from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import NotFoundError
from spotwise.scheduler.store import Actor, Store
from spotwise.scheduler.store.schema import SchemaChange


@pytest.fixture
def home(tmp_path, monkeypatch):
    """With two runs, the second of which somebody asked to cancel an hour later."""
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    clock = ManualClock(T0)
    store = Store.open(f"sqlite:///{tmp_path / 'spotwise.db'}", Actor("ana", "desk", "submit"), clock)
    store.add_run(run("one"), "one")
    store.add_run(run("two [x]"), "two")
    clock.moment = at(1)
    store.request_cancel("two [x]")
    store.close()
    return tmp_path


def said(capsys, *arguments):
    assert cli.main(arguments, standalone_mode=False) == 0
    return capsys.readouterr().out


def test_a_line_says_who_changed_what_when_and_why(home, capsys):
    lines = said(capsys, "history", "two [x]").splitlines()
    (line,) = [line for line in lines if "cancel_requested" in line]
    for part in (
        "2026-03-01 13:00:00",
        "ana@desk submit",
        "run two [x]: cancel_requested",
        "false",
        "true",
        "asked for",
    ):
        assert part in line


def test_json_has_stable_keys(home, capsys):
    change = json.loads(said(capsys, "history", "two [x]", "--json"))["changes"][-1]
    assert change == {
        "at": "2026-03-01T13:00:00+00:00",
        "user": "ana",
        "host": "desk",
        "command": "submit",
        "run": "two [x]",
        "subject": "run",
        "id": "two [x]",
        "field": "cancel_requested",
        "before": "false",
        "after": "true",
        "cause": "asked for",
    }


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ([], {None, "one", "two [x]"}),
        (["--since", "2026-03-01T12:30:00"], {"two [x]"}),
        (["--limit", "1"], {"two [x]"}),
    ],
)
def test_the_history_of_all_can_be_narrowed_down(home, capsys, options, runs):
    assert {change["run"] for change in json.loads(said(capsys, "history", "--json", *options))["changes"]} == runs


def test_a_run_that_is_not_there_is_named(home):
    with pytest.raises(NotFoundError, match="nope"):
        cli.main(["history", "nope"], standalone_mode=False)


def test_a_command_is_the_actor_of_what_it_changes(home, capsys):
    (home / "job.yaml").write_text("name: greet\nrun: exit 0\nwork: {hours: 0.001}\n")
    from spotwise.scheduler.execution import submission

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(submission, "start_supervisor", lambda *_: None)
        said(capsys, "submit", "job.yaml")
    change = json.loads(said(capsys, "history", "--json"))["changes"][-1]
    assert change["command"] == "submit"
    assert change["user"]
    assert change["host"]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (SchemaChange(None, 6), "a new store was made, of schema 6"),
        (SchemaChange(4, 6), "the store was upgraded from schema 4 to schema 6"),
        (SchemaChange(6, 6), "the store is of schema 6, this version's: nothing to do"),
    ],
)
def test_what_was_done_to_the_schema_is_said(schema, text):
    assert migrated_text(schema) == text


def test_nothing_is_an_empty_list():
    assert changes_json([]) == []
