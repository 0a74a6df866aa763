"""A store of an earlier version is brought up to date whole, once, and with nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from old_homes import GOLDEN, RUN_WITH_A_LOG, unpack

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import ExitCode
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.retraining.occurrences import OccurrenceOutcome
from spotwise.scheduler.store import Actor, Store
from spotwise.scheduler.store.migrate import migration_scripts
from spotwise.scheduler.store.nights import SqlOccurrences, judgements
from spotwise.scheduler.store.schema import REVISION

TABLES = ("runs", "leases", "attempts", "charges", "events", "rests", "studies", "models", "occurrences")
DIES_IN_THE_MIDDLE = """
import os, signal, sys
from alembic.runtime.migration import MigrationContext
from spotwise.scheduler.store import Store
MigrationContext.stamp = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # all is changed, nothing is committed
Store.open(sys.argv[1])
"""
OPENS_WITH_OTHERS = """
import sys
from spotwise.scheduler.store import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1])
print(store.schema.before, store.count("attempts"))
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return unpack(tmp_path / "home")


def url_of(database: Path) -> str:
    return f"sqlite:///{database}"


def all_rows(database: Path) -> dict[str, list[dict[str, object]]]:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in TABLES}  # noqa: S608


def dump(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


def test_the_newest_migration_is_the_schema_that_the_code_knows() -> None:
    assert migration_scripts().get_heads() == [REVISION]


def test_every_value_of_an_older_store_is_there_after_the_upgrade(database: Path) -> None:
    before = all_rows(database)
    Store.open(url_of(database)).close()
    after = all_rows(database)
    for table in TABLES:
        kept = [{name: row[name] for name in before[table][0]} for row in after[table]]
        assert kept == before[table], table


def test_every_row_of_an_older_store_can_be_read(database: Path) -> None:
    store = Store.open(url_of(database))
    assert len(store.runs()) == 5
    assert {run.id for run in store.runs(active=True)} == {"digits-act333"}
    assert {attempt.state for attempt in store.attempts()} == {s for s in AttemptState if s.is_final}
    assert sum(charge.amount_usd for charge in store.charges()) == Decimal("2.152035")
    assert store.remaining("digits-act333") is not None
    assert [study.id for study in store.studies()] == ["outside", "search-swp444"]
    assert [judgement.version for judgement in judgements(store)] == ["nightly-ngt555"]
    last = SqlOccurrences(store).last_finished("shelf-model")
    assert last is not None
    assert last.outcome is OccurrenceOutcome.PROMOTED
    assert len(store.events("digits-old222")) == 33
    store.close()


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (1, EndCause.NO_CAPACITY),
        (2, EndCause.WITHDRAWN),  # "ended by spotwise" before it came up
        (3, EndCause.WITHDRAWN),  # "never launched"
        (4, EndCause.PREEMPTED),
        (5, EndCause.TERMINATED),
        (6, EndCause.VANISHED),
        (7, EndCause.EXITED),  # with the code of a preemption, unasked
        (8, EndCause.LAUNCH_FAILED),
        (9, EndCause.UNLAUNCHABLE),
        (10, EndCause.EXITED),
        (11, EndCause.EXITED),
        (12, EndCause.EXITED),
        (13, EndCause.EXITED),
        (14, EndCause.TERMINATED),
        (15, EndCause.EXITED),
        (16, EndCause.SETUP_FAILED),
    ],
)
def test_the_sentence_of_an_older_attempt_becomes_its_cause(database: Path, number: int, cause: EndCause) -> None:
    store = Store.open(url_of(database))
    (found,) = store.attempts(ids=[f"digits-old222-a{number}"])
    assert found.end_cause is cause
    store.close()


def test_an_attempt_that_goes_on_has_no_cause(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE attempts SET state = 'running', end_reason = '' WHERE id = 'digits-old222-a1'")
    store = Store.open(url_of(database))
    assert store.attempts(ids=["digits-old222-a1"])[0].end_cause is None
    store.close()


def test_the_market_of_an_older_estimate_is_that_of_its_offer(database: Path) -> None:
    store = Store.open(url_of(database))
    left = store.remaining("digits-act333")
    assert left is not None
    assert (left.offer, left.market) == ("aws/us-east-1/a/g4dn.xlarge/spot", "spot")
    store.close()


def test_the_upgrade_is_the_first_line_of_the_history(database: Path) -> None:
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    store = Store.open(url_of(database), Actor("ana", "desk", "status"), ManualClock(moment))
    (change,) = store.changes()
    assert (change.before, change.after, change.at, change.actor.user) == ("4", str(int(REVISION)), moment, "ana")
    store.close()


def test_a_process_that_is_killed_in_the_middle_leaves_the_store_as_it_was(database: Path) -> None:
    before = dump(database)
    died = subprocess.run([sys.executable, "-c", DIES_IN_THE_MIDDLE, url_of(database)], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert dump(database) == before
    store = Store.open(url_of(database))
    assert (store.schema.before, store.schema.after) == (4, int(REVISION))
    store.close()


def test_of_processes_that_open_an_older_store_at_once_one_upgrades_it(database: Path) -> None:
    command = [sys.executable, "-c", OPENS_WITH_OTHERS, url_of(database)]
    opening = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.stdout.readline() for process in opening if process.stdout] == ["ready\n"] * 3
    for process in opening:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = sorted((process.communicate(timeout=60)[0] for process in opening), key=lambda said: int(said.split()[0]))
    assert printed == ["4 18\n", *[f"{int(REVISION)} 18\n"] * 2]  # the schema that each found, and its attempts


def test_an_older_spotwise_leaves_an_upgraded_store_alone(database: Path) -> None:
    """It reads ``meta``, and refuses what is above the 4 that it knows."""
    Store.open(url_of(database)).close()
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("5",)


# a home as a whole, by the commands


def spotwise(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SPOTWISE_HOME": str(home)}
    env.pop("SPOTWISE_SETTINGS", None)
    command = [sys.executable, "-P", "-m", "spotwise.scheduler.cli", *arguments]
    return subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)


def said(home: Path, *arguments: str) -> str:
    done = spotwise(home, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def part_that_was_there(now: object, then: object) -> object:
    """The same without keys that are new."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: part_that_was_there(now.get(key), value) for key, value in then.items()}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [part_that_was_there(a, b) for a, b in zip(now, then, strict=True)]
    return now


def test_commands_say_of_an_older_home_what_the_version_before_said(database: Path) -> None:
    home = database.parent
    now = {run["run"]: run for run in json.loads(said(home, "status", "--json"))["runs"]}
    then = {run["run"]: run for run in json.loads((GOLDEN / "status.json").read_text(encoding="utf-8"))["runs"]}
    assert now.keys() == then.keys()
    for name, run in then.items():
        assert part_that_was_there(now[name], run) == run
    money = {s["money"]: s["total"]["booked_usd"] for s in json.loads(said(home, "report", "--json"))["sections"]}
    assert money == {"real": "1.100035", "emulated": "1.052000"}
    assert "hello from the version before" in said(home, "logs", RUN_WITH_A_LOG)


def test_the_command_says_what_it_did_to_the_schema(database: Path) -> None:
    assert said(database.parent, "migrate") == f"the store was upgraded from schema 4 to schema {int(REVISION)}\n"
    assert (
        said(database.parent, "migrate") == f"the store is of schema {int(REVISION)}, this version's: nothing to do\n"
    )


def test_a_newer_store_ends_a_command_with_its_exit_code_and_no_traceback(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE meta SET value = ?", (str(int(REVISION) + 1),))
    refused = spotwise(database.parent, "status")
    assert refused.returncode == ExitCode.BAD_INPUT
    assert refused.stderr.startswith("the store was written by a newer spotwise")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["-P", "-m", "spotwise.scheduler.cli", "nightly", "FILE"], "FILE"),  # a crontab line
        (["-P", "-m", "spotwise.scheduler.tuning.host", "FILE"], "FILE"),  # an attempt's command of a sweep
    ],
)
def test_command_lines_that_the_version_before_wrote_still_name_a_program(
    database: Path, command: list[str], expected: str
) -> None:
    env = {**os.environ, "SPOTWISE_HOME": str(database.parent)}
    ran = subprocess.run(
        [sys.executable, *command], env=env, cwd=database.parent, capture_output=True, text=True, check=False
    )
    assert "No module named" not in ran.stderr
    assert expected in ran.stderr  # the file that is not there


def test_alembic_is_loaded_only_where_a_migration_is_due(database: Path) -> None:
    opens = "import sys; from spotwise.scheduler.store import Store; Store.open(sys.argv[1])"
    code = f"{opens}; print('alembic' in sys.modules)"
    loads = [subprocess.check_output([sys.executable, "-c", code, url_of(database)], text=True) for _ in range(2)]
    assert loads == ["True\n", "False\n"]
    shutil.rmtree(database.parent)
    assert subprocess.check_output([sys.executable, "-c", code, url_of(database)], text=True) == "False\n"  # a new one
