"""A damaged record of one run: it is named and left out, the others are shown, and it can be cancelled and removed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import JOB_YAML, T0, at, attempt, run
from supervised import SupervisedWorld

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.core.errors import ExitCode
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.execution.submission import prepare
from spotwise.scheduler.reports.load import report_data
from spotwise.scheduler.store import Lease, Store
from spotwise.scheduler.web.server import answer

GOOD, BAD = "good-aaaaaa", "bad-bbbbbb"
DAMAGE = {
    "a state that is none": "UPDATE runs SET state = 'dancing' WHERE id = ?",
    "a time that is none": "UPDATE runs SET submitted_at = 'yesterday' WHERE id = ?",
    "money that is none": "UPDATE runs SET budget_usd = 'much' WHERE id = ?",
    "a number that is none": "UPDATE runs SET hosts = 'two' WHERE id = ?",
    "bytes that are no text": "UPDATE runs SET job_name = CAST(x'ff00fe' AS TEXT), kind = x'ff' WHERE id = ?",
    "a price of an attempt": "UPDATE attempts SET price_usd_per_hour = 'NaNaN' WHERE run_id = ?",
    "a time of an attempt": "UPDATE attempts SET launched_at = '9999-99-99' WHERE run_id = ?",
    "a count of an attempt": "UPDATE attempts SET nodes = 'x' WHERE run_id = ?",
}
TORN_JOB = "UPDATE runs SET job_yaml = 'secrets: {A: null}\nenvs: {B: *tok}\nrun: echo' WHERE id = ?"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text("teams: {vision: {monthly_budget: 10 USD}}\n")
    monkeypatch.setattr("spotwise.scheduler.execution.submission.start_supervisor", lambda *_: None)
    store = Store.open(f"sqlite:///{tmp_path / 'spotwise.db'}")
    for run_id in (GOOD, BAD):
        folder = tmp_path / "runs" / run_id
        folder.mkdir(parents=True)
        made = run(run_id, folder=str(folder), engine="local", state=RunState.RUNNING, reserved_usd=Decimal(4))
        store.add_run(made, run_id)
        lease = store.lease(run_id, "somebody", T0, at(0.1))
        assert lease is not None
        _placed(store, run_id, lease)
    store.close()
    yield tmp_path


def _placed(store: Store, run_id: str, lease: Lease) -> None:
    first = attempt(1, id=f"{run_id}-a1", run_id=run_id, state=AttemptState.PREEMPTED, ended_at=at(1))
    store.save_attempt(first, lease, book(first, [Span(T0, at(1), Category.PRODUCTIVE)]))
    store.save_attempt(attempt(2, id=f"{run_id}-a2", run_id=run_id, launched_at=at(1)), lease)


def damage(home: Path, statement: str) -> None:
    with sqlite3.connect(home / "spotwise.db") as connection:
        connection.execute(statement, (BAD,))
    connection.close()


def spotwise(*arguments: str, code: int = 0) -> Result:
    done = CliRunner(mix_stderr=False).invoke(cli, arguments, standalone_mode=False)
    if done.exception is not None:
        assert getattr(done.exception, "exit_code", None) == code, done.exception
    return done


@pytest.mark.parametrize("statement", [*DAMAGE.values(), TORN_JOB], ids=[*DAMAGE, "a job file"])
def test_one_unreadable_run_is_named_and_the_others_are_shown(home: Path, statement: str) -> None:
    damage(home, statement)
    said = spotwise("status")
    assert GOOD in said.stdout
    assert BAD in said.stderr
    shown = json.loads(spotwise("status", "--json").stdout)
    assert [each["run"] for each in shown["runs"]] == [GOOD]
    assert [each["run"] for each in shown["unreadable"]] == [BAD]
    alone = spotwise("status", BAD, code=ExitCode.BAD_INPUT)
    assert f"spotwise cancel {BAD}" in str(alone.exception)
    assert spotwise("history").exception is None


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
def test_report_page_plan_and_budget_leave_it_out_and_say_so(home: Path, statement: str) -> None:
    damage(home, statement)
    report = json.loads(spotwise("report", "--json").stdout)
    assert report["unreadable"] == [BAD]
    assert BAD in spotwise("report", "--out", str(home)).stdout
    app = App.open()
    page = answer("/", lambda: report_data(app))
    assert (page.status, BAD in page.body) == (200, True)
    (home / "job.yaml").write_text(JOB_YAML.replace("resources: {accelerators: T4:1}\n", ""))
    assert prepare(app, home / "job.yaml").plan.chosen is not None
    app.store.close()


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
def test_an_unreadable_run_is_cancelled_without_reading_it_and_then_removed(home: Path, statement: str) -> None:
    """Its attempt is told to leave, and what it had set aside is free."""
    damage(home, statement)
    assert "cancelled" in spotwise("cancel", BAD).stdout
    assert (home / "runs" / BAD / "attempts" / f"{BAD}-a2" / "terminate.json").exists()
    with sqlite3.connect(home / "spotwise.db") as connection:
        (state, reserved, key) = connection.execute(
            "SELECT state, reserved_usd, active_key FROM runs WHERE id = ?", (BAD,)
        ).fetchone()
    connection.close()
    assert (state, reserved, key) == ("cancelled", 0, None)
    if statement == DAMAGE["a state that is none"]:
        return  # it is mended by that
    spotwise("cancel", "--remove", BAD)
    said = spotwise("status")
    assert (BAD in said.stdout + said.stderr, GOOD in said.stdout) == (False, True)


def test_a_run_that_can_be_read_is_never_removed(home: Path) -> None:
    refused = spotwise("cancel", "--remove", GOOD, code=ExitCode.BAD_INPUT)
    assert "can be read" in str(refused.exception)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SupervisedWorld]:
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def test_a_run_whose_job_file_cannot_be_read_is_cancelled_by_the_supervisor_and_booked(world: SupervisedWorld) -> None:
    """Its money is free again, and until then nothing new is started for it; others go on."""
    world.submit(reserved_usd=Decimal(3))
    world.submit("other-cccccc")
    world.pass_time(world.supervisor(), 0.5)
    stored = world.run()
    with sqlite3.connect(world.folder / "spotwise.db") as connection:
        connection.execute("UPDATE runs SET job_yaml = 'a: [' WHERE id = ?", (stored.id,))
    connection.close()
    world.engine.preempt(world.live().id)
    world.clock.sleep(60)
    supervisor = world.supervisor()
    world.pass_time(supervisor, 1)
    assert len(world.attempts()) == 1
    assert "its job file" in [e.message for e in world.store.events(stored.id) if e.kind is EventKind.FAULT][-1]
    world.store.request_cancel(stored.id)
    world.pass_time(supervisor, 2)
    ended = world.run()
    assert (ended.state, ended.reserved_usd) == (RunState.CANCELLED, 0)
    assert world.spent() > 0
    assert world.run("other-cccccc").state is RunState.COMPLETED


@pytest.mark.parametrize("name", ["a price of an attempt", "a time that is none"])
def test_a_supervisor_starts_nothing_for_a_run_whose_rows_it_cannot_read(world: SupervisedWorld, name: str) -> None:
    world.submit()
    world.submit("other-cccccc")
    world.pass_time(world.supervisor(), 0.2)
    with sqlite3.connect(world.folder / "spotwise.db") as connection:
        connection.execute(DAMAGE[name], ("digits-aaaaaa",))
    connection.close()
    world.clock.sleep(60)
    launched = len(world.machines.launches)
    world.pass_time(world.supervisor(), 3)
    assert world.run("other-cccccc").state is RunState.COMPLETED
    assert len(world.machines.launches) == launched


def test_a_job_whose_stored_text_would_not_parse_is_refused_at_submission(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spotwise.scheduler.execution.submission.text_to_store", lambda *_: "envs: *gone\n")
    (home / "job.yaml").write_text("run: echo\n")
    refused = spotwise("plan", str(home / "job.yaml"), code=ExitCode.BAD_INPUT)
    assert "cannot be stored" in str(refused.exception)


def test_an_anchor_below_secrets_that_a_variable_uses_is_a_job_that_runs(home: Path) -> None:
    (home / "job.yaml").write_text("run: echo\nsecrets: {A: &tok hidden}\nenvs: {B: *tok}\n")
    assert spotwise("submit", str(home / "job.yaml")).exception is None
    assert "hidden" not in (home / "spotwise.db").read_bytes().decode(errors="replace")
    assert GOOD in spotwise("status").stdout
