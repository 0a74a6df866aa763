"""`spotwise web` as a person uses it: a process of its own, a store with a busy month, a real browser."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from browser import browse, console_messages, size_of
from sample_report import Story, sample_data

from spotwise.scheduler.core.run import CostBasis, RunKind, RunState
from spotwise.scheduler.reports import ReportData
from spotwise.scheduler.store import Store

pytestmark = pytest.mark.slow

HOUR_S = Decimal(4)
SHOWN = ("--dump-dom", "--virtual-time-budget=4000")  # less than the page's own refresh


def busy_month() -> ReportData:
    """The sample month on the emulated market, ending about now."""
    return sample_data(CostBasis.EMULATED, HOUR_S, datetime.now(UTC) - timedelta(seconds=80 * float(HOUR_S)))


def fill(store: Store, data: ReportData) -> None:
    for run in data.runs:
        store.add_run(run, run.id)
        lease = store.lease(run.id, "test", data.now, data.now + timedelta(hours=1))
        assert lease is not None
        for attempt in data.attempts:
            if attempt.run_id == run.id:
                store.save_attempt(attempt, lease, [c for c in data.charges if c.attempt_id == attempt.id])
    for study in data.studies:
        store.save_study(study)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def dashboard(home: Path) -> Iterator[str]:
    """The address of a running `spotwise web`; it has ended well afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "spotwise.scheduler.cli", "web", "--port", str(port)]
    env = {**os.environ, "SPOTWISE_HOME": str(home)}
    with subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith(f"http://127.0.0.1:{port}")
            wait_until_listening(port, server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def wait_until_listening(port: int, server: subprocess.Popen[str]) -> None:
    """It prints its address just before it listens."""
    while server.poll() is None:
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail(f"the dashboard ended with {server.returncode}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'home' / 'spotwise.db'}")
    yield opened
    opened.close()


def test_the_page_shows_the_month_and_then_what_is_new(tmp_path: Path, store: Store) -> None:
    """Charts and runs without an error; a run submitted meanwhile is there when the page is loaded again."""
    fill(store, busy_month())
    with dashboard(tmp_path / "home") as address:
        first = browse(tmp_path, address, *SHOWN)
        late = Story(CostBasis.EMULATED, HOUR_S).run("late-arrival-k3x9ab", RunKind.TRAINING, at=0)
        store.add_run(late.evolve(state=RunState.WAITING, submitted_at=datetime.now(UTC), engine="local"), "late")
        second = browse(tmp_path, address, *SHOWN)
    assert console_messages(first.stderr) + console_messages(second.stderr) == []
    assert len(re.findall(r'<svg[^>]*class="chart', first.stdout)) == 6
    assert "shelf-detector-sweep-7k2f9q" in first.stdout
    assert ("late-arrival-k3x9ab" in first.stdout, "late-arrival-k3x9ab" in second.stdout) == (False, True)


def test_before_the_first_run_the_page_says_what_to_do(tmp_path: Path, store: Store) -> None:
    with dashboard(tmp_path / "home") as address:
        shown = browse(tmp_path, address, *SHOWN)
    assert "Submit a job" in shown.stdout
    assert console_messages(shown.stderr) == []


def test_the_page_is_drawn(tmp_path: Path, store: Store) -> None:
    """An empty picture of this size compresses to a few kilobytes."""
    fill(store, busy_month())
    picture = tmp_path / "dashboard.png"
    with dashboard(tmp_path / "home") as address:
        browse(tmp_path, address, "--window-size=1280,3400", f"--screenshot={picture}")
    content = picture.read_bytes()
    assert size_of(content) == (1280, 3400)
    assert len(content) > 60_000
