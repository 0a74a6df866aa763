"""What a store promises to processes that use it at the same moment, on every database."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from databases import KINDS, empty_database
from factories import T0, at, attempt, run

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.store import Store

PROCESSES = 5
READY = "import sys; from spotwise.scheduler.store import Store; print('ready', flush=True); sys.stdin.readline()\n"
OPEN = "store = Store.open(sys.argv[1])\n"
TAKE_LEASES = """
from datetime import datetime, timedelta, UTC
now = datetime(2026, 3, 1, 12, tzinfo=UTC)
for run in store.runs():
    if store.lease(run.id, sys.argv[2], now, now + timedelta(hours=1)):
        print(run.id)
"""
ADD_RUN = """
from dataclasses import replace
print(store.add_run(replace(store.runs()[0], id="copy-" + sys.argv[2]), "one job file").id)
"""


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    with empty_database(request.param, tmp_path) as made:
        yield made


def at_once(url: str, program: str) -> list[list[str]]:
    """The lines that several processes printed; they wait until all are loaded, and start at the same moment."""
    command = [sys.executable, "-c", READY + OPEN + program, url]
    started = [
        subprocess.Popen([*command, f"process {n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * PROCESSES
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].splitlines() for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES
    return printed


def test_a_new_database_can_be_opened_by_all_at_once(url):
    at_once(url, "")
    store = Store.open(url)
    assert (store.count("meta"), store.count("runs")) == (1, 0)
    store.close()


def test_every_lease_goes_to_one_process(url):
    store = Store.open(url)
    ids = [f"run-{n:02d}" for n in range(30)]
    for run_id in ids:
        store.add_run(run(run_id), run_id)
    taken = Counter(line for lines in at_once(url, TAKE_LEASES) for line in lines)
    assert taken == Counter(ids)
    store.close()


def test_one_job_file_submitted_by_all_is_one_run(url):
    store = Store.open(url)
    store.add_run(run("first"), "another job file")
    assert len({lines[0] for lines in at_once(url, ADD_RUN)}) == 1
    assert len(store.runs()) == 2
    store.close()


BOOK = """
from datetime import datetime, timedelta, UTC
from decimal import Decimal
from spotwise.scheduler.core.errors import LeaseLostError
ended, charges = store.attempts()[0], store.charges()
now = datetime(2026, 3, 1, 12, tzinfo=UTC)
for n in range(20):
    lease = store.lease(ended.run_id, sys.argv[2], now + timedelta(hours=2 * n), now + timedelta(hours=2 * n + 1))
    try:
        if lease:
            store.save_attempt(ended, lease, charges)
    except LeaseLostError:
        pass
"""


def test_an_attempt_that_all_book_is_charged_once(url):
    """Each takes the lease from the others again and again, and books: neither a row twice nor a row missing."""
    store = Store.open(url)
    store.add_run(run(), "key")
    ended = attempt(state=AttemptState.COMPLETED, ended_at=at(2))
    half = T0 + timedelta(hours=1)
    charges = book(ended, [Span(T0, half, Category.OVERHEAD), Span(half, at(2), Category.PRODUCTIVE)])
    store.save_attempt(ended, store.lease(ended.run_id, "first", T0, T0), charges)
    at_once(url, BOOK)
    assert store.charges() == list(charges)
    store.close()


BEGIN_NIGHT = """
from datetime import datetime, UTC
from spotwise.scheduler.core.errors import StoreError
from spotwise.scheduler.store.nights import SqlOccurrences
for night in range(20):
    try:
        SqlOccurrences(store).begin("digits", str(night), sys.argv[2], datetime(2026, 3, 1, tzinfo=UTC))
        print(night)
    except StoreError:
        pass
"""


def test_every_night_is_begun_by_one_process(url):
    """Two machines with the same crontab and the same store: whoever is second is told so."""
    Store.open(url).close()
    begun = Counter(line for lines in at_once(url, BEGIN_NIGHT) for line in lines)
    assert begun == Counter(str(night) for night in range(20))
