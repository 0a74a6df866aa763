"""A run that nobody supervises is known, and shown, as such."""

from __future__ import annotations

import io
import socket
from dataclasses import replace
from datetime import timedelta

import factories
import psutil
import pytest
from rich.console import Console
from supervised import RUN_ID, SupervisedWorld

from spotwise.scheduler.cli.supervision_view import print_supervision, with_supervision
from spotwise.scheduler.execution.held_leases import LEASE_S
from spotwise.scheduler.execution.lease_owner import SupervisorProcess, is_dead_here, me
from spotwise.scheduler.execution.supervision import unsupervised_since
from spotwise.scheduler.reports.aggregate import build_report
from spotwise.scheduler.reports.data import ReportData
from spotwise.scheduler.reports.formats import Usd
from spotwise.scheduler.reports.summary import summary
from spotwise.scheduler.reports.tables import run_grid


@pytest.fixture
def world(tmp_path):
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def since(world):
    return unsupervised_since(world.store, world.clock.now())


def test_a_run_whose_supervisor_is_gone_is_not_supervised_since_it_was_last_seen(world):
    world.submit()
    world.supervisor().tick()
    left_at = world.clock.now()
    assert since(world) == {}
    world.clock.sleep(LEASE_S - 1)
    assert since(world) == {}, "it may be alive"
    world.clock.sleep(3600)
    assert since(world) == {RUN_ID: left_at}


def test_a_run_that_nobody_ever_drove_is_not_supervised_since_its_submission(world):
    world.submit()
    assert since(world) == {}, "its supervisor is still starting"
    world.clock.sleep(60)
    assert since(world) == {RUN_ID: world.run().submitted_at}


def test_a_supervisor_known_to_be_dead_on_this_machine_supervises_nothing(world):
    world.submit()
    dead = SupervisorProcess(socket.gethostname(), 2**22 + 1, "1")
    world.store.lease(RUN_ID, str(dead), world.clock.now(), world.clock.now() + timedelta(seconds=LEASE_S))
    world.clock.sleep(LEASE_S - 5)
    assert list(since(world)) == [RUN_ID]


def test_a_run_that_has_ended_needs_no_supervisor(world):
    world.submit()
    world.pass_time(world.supervisor(), 3)
    world.clock.sleep(3600)
    assert since(world) == {}


def test_status_says_which_runs_nobody_supervises(world):
    world.submit()
    world.clock.sleep(60)
    told = io.StringIO()
    print_supervision(world.store, world.clock.now(), Console(file=told, width=500))
    assert told.getvalue().startswith(f"not supervised: {RUN_ID} since {world.run().submitted_at:%Y-%m-%d %H:%M} UTC.")
    assert "spotwise supervise" in told.getvalue()
    shown = with_supervision({"run": RUN_ID}, since(world))
    assert shown["unsupervised_since"] == world.run().submitted_at.isoformat()
    assert with_supervision({"run": "another"}, since(world))["unsupervised_since"] is None


def test_the_report_says_that_a_run_is_not_supervised_and_what_it_is_said_to_cost():
    run, now = factories.run(), factories.at(2)
    data = ReportData(now, (run,), (factories.attempt(),), unsupervised={run.id: factories.at(1)})
    (section,) = build_report(data).sections
    (line,) = run_grid(section, Usd.for_section(section)).lines
    assert line.cells[1] == "waiting, not supervised"
    said = [text for text in summary(section) if "not supervised" in text]
    assert len(said) == 1
    assert "since 2026-03-01 13:00 UTC" in said[0]
    assert Usd.for_section(section)(section.total.running_usd) in said[0]
    (section,) = build_report(replace(data, unsupervised={})).sections
    assert not any("not supervised" in text for text in summary(section))


def test_a_living_supervisor_is_known_by_a_clock_that_nobody_sets(monkeypatch):
    """psutil's time of creation moves with the wall clock: by it a living supervisor would be taken for dead."""
    owner = me()
    created = psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _self: created + 3 * 3600)
    assert not is_dead_here(owner)
