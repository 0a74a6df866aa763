"""The list of runs: the newest, those that go on, and money that the database adds up."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from factories import T0, at, attempt, run

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.cli.runs_view import ListedRun, listed_runs, run_lines
from spotwise.scheduler.cli.status_view import RunWatcher
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.store import Store


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'spotwise.db'}")
    yield opened
    opened.close()


def ended(store, name, hours):
    """A run with a preempted attempt of an hour, and one that completed it."""
    made = run(name, submitted_at=at(hours))
    store.add_run(made, name)
    lease = store.lease(name, "me", T0, at(1000))
    for number, state in ((1, AttemptState.PREEMPTED), (2, AttemptState.COMPLETED)):
        one = attempt(number, id=f"{name}-a{number}", run_id=name, state=state, ended_at=at(1))
        store.save_attempt(one, lease, book(one, [Span(T0, at(1), Category.PRODUCTIVE)]))
    store.save_run(made.evolve(state=RunState.COMPLETED), lease)


def test_the_newest_are_listed_and_those_that_go_on_oldest_first(store):
    store.add_run(run("goes-on", submitted_at=at(0)), "goes-on")
    for n in range(1, 5):
        ended(store, f"run-{n}", n)
    assert [r.id for r in listed_runs(store, 2)] == ["goes-on", "run-3", "run-4"]
    assert [r.id for r in listed_runs(store, None)] == ["goes-on", "run-1", "run-2", "run-3", "run-4"]


def test_a_line_of_an_ended_run_is_what_looking_at_all_of_it_says(store):
    ended(store, "one", 1)
    (line,) = run_lines(store, store.runs(), at(5))
    assert line == ListedRun.of(RunWatcher(store, "one").look(at(5)))
    assert (line.attempts, line.preemptions, line.spent_usd) == (2, 1, Decimal("0.400000"))


def test_the_list_of_ended_runs_reads_no_charge(store, monkeypatch):
    ended(store, "one", 1)
    for name in ("charges", "attempts", "events"):
        monkeypatch.setattr(Store, name, lambda *_, **__: pytest.fail("read whole"))
    assert len(run_lines(store, store.runs(), at(5))) == 1


def test_the_table_says_how_many_older_runs_it_leaves_out_and_json_lists_all(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    for n in range(3):
        ended(store, f"run-{n}", n)
    cli.main(["status", "--limit", "1"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "run-2" in said
    assert "run-1" not in said
    assert "2 older runs not shown: --limit shows more" in said
    cli.main(["status", "--json"], standalone_mode=False)
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3
    cli.main(["status", "--json", "--limit", "2"], standalone_mode=False)
    assert [each["run"] for each in json.loads(capsys.readouterr().out)["runs"]] == ["run-1", "run-2"]
