"""What only PostgreSQL does, and a whole run with its store there. Started by run.sh, which makes the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from databases import SERVER, empty_database, on_server
from factories import T0, run
from sqlalchemy import make_url

from spotwise.scheduler.core.errors import StoreError
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.store import Store

EPOCHS = 6
TRAIN = f"""
import json, os, pathlib, time
from datetime import datetime, timezone
saved = pathlib.Path(os.environ["SPOTWISE_CHECKPOINT_URL"]) / "epoch"
saved.parent.mkdir(parents=True, exist_ok=True)
def tell(event, epoch):
    line = dict(event=event, time=datetime.now(timezone.utc).isoformat(), epoch=epoch,
                attempt=int(os.environ["SPOTWISE_ATTEMPT"]), metrics=dict(loss=1 / (epoch + 1)))
    with open(os.environ["SPOTWISE_PROGRESS_URL"], "a") as progress:
        progress.write(json.dumps(line) + "\\n")
tell("started", 0)
for epoch in range(1, {EPOCHS} + 1):
    time.sleep(0.5)
    tell("progress", epoch)
    tell("checkpoint", epoch)
tell("finished", {EPOCHS})
"""


@pytest.fixture
def url(tmp_path):
    if not SERVER:
        pytest.fail("SPOTWISE_TEST_POSTGRES names no server: run tests/integration/postgres/run.sh")
    with empty_database("postgres", tmp_path) as made:
        yield made


def test_connections_that_the_server_ended_are_made_anew(url):
    """A server that was restarted, or a firewall: the next call works."""
    store = Store.open(url)
    store.add_run(run(), "key")
    others = "datname = 'DATABASE' AND pid <> pg_backend_pid()".replace("DATABASE", str(make_url(url).database))
    on_server("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + others)  # noqa: S608 - a name of ours
    assert store.run("digits-aaaaaa").submitted_at == T0
    store.close()


def test_moments_are_the_same_in_every_session_time_zone(url):
    on_server(f"ALTER DATABASE {make_url(url).database} SET timezone = 'Asia/Kolkata'")
    store = Store.open(url)
    store.add_run(run(), "key")
    found = store.run("digits-aaaaaa").submitted_at
    assert (found, found.utcoffset()) == (T0, T0.utcoffset())
    store.close()


def test_a_database_that_does_not_exist_is_said_without_the_password(url):
    missing = make_url(url).set(database="nowhere", password="secret")  # noqa: S106 - it must not be shown
    with pytest.raises(StoreError, match="nowhere") as error:
        Store.open(missing.render_as_string(hide_password=False))
    assert "secret" not in str(error.value)


def spotwise(*arguments: object, cwd: Path) -> str:
    command = [sys.executable, "-m", "spotwise.scheduler.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_until_training(store: Store) -> Any:
    for _ in range(600):
        runs = store.runs()
        if runs and (Path(runs[0].folder) / "progress.jsonl").exists():
            return runs[0]
        time.sleep(0.1)
    return pytest.fail("waited for a minute in vain: no training has started")


def test_a_run_whose_supervisor_is_killed_ends_with_every_second_booked(url, tmp_path, monkeypatch):
    """Submitted, supervised by two processes one after the other, reported: only the folder of files is not there."""
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "home"))
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "configs").mkdir()
    settings = {"store": url, "local": {"price_usd_per_hour": "3.6 USD"}}
    (tmp_path / "configs" / "settings.yaml").write_text(json.dumps(settings))
    job = {
        "name": "digits",
        "team": "vision",
        "run": f"{sys.executable} train.py",
        "workdir": ".",
        "work": {"epochs": 6},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    store = Store.open(url)
    spotwise("submit", "job.yaml", cwd=tmp_path)
    submitted = wait_until_training(store)
    os.kill(int(store.lease_owner(submitted.id, datetime.now(UTC)).split()[1]), signal.SIGKILL)
    spotwise("supervise", cwd=tmp_path)
    spotwise("report", "--out", "report", cwd=tmp_path)
    ended, attempts, charges = store.run(submitted.id), store.attempts(), store.charges()
    assert ended.state is RunState.COMPLETED, ended.end_reason
    assert [each.state for each in attempts] == [AttemptState.COMPLETED]
    assert attempts[0].ended_at is not None
    seconds = (attempts[0].ended_at - attempts[0].launched_at).total_seconds()
    assert sum(c.amount_usd for c in charges) == Decimal(str(seconds * 0.001)).quantize(Decimal("0.000001"))
    assert not (tmp_path / "home" / "spotwise.db").exists()
    assert (tmp_path / "report" / "report.html").exists()
    store.close()
