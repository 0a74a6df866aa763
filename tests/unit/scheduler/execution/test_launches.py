"""Launches of one round go on at once, and no lease runs out meanwhile."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from supervised import RUN_ID, SupervisedWorld

from spotwise.scheduler.core.errors import EngineError
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.execution import launches
from spotwise.scheduler.execution.held_leases import LEASE_S, RENEW_S

PATIENCE_S = 20


@pytest.fixture
def world(tmp_path):
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


class SlowLaunch:
    """An engine whose launches do what they are told before they begin."""

    def __init__(self, engine, before):
        self._engine, self._before = engine, before

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def launch(self, request):
        self._before(request)
        return self._engine.launch(request)


def test_launches_of_one_round_go_on_at_once(world):
    """Each waits until all have begun: one after the other, none would end."""
    together = threading.Barrier(launches.AT_ONCE, timeout=PATIENCE_S)
    for number in range(launches.AT_ONCE):
        world.submit(f"run-{number}")
    world.engine = SlowLaunch(world.engine, lambda _request: together.wait())
    world.supervisor().tick()
    assert len(world.machines.launches) == launches.AT_ONCE


def test_no_lease_runs_out_while_launches_take_long(world):
    """More than the time of a lease passes within one round; the other supervisor gets no run."""
    world.submit()
    world.submit("other-bbbbbb")
    taken: list[object] = []

    def slow(_request):
        passed = 0.0
        while passed < 2 * LEASE_S:
            world.clock.sleep(RENEW_S)
            passed += RENEW_S
            renewed.clear()
            assert renewed.wait(PATIENCE_S)
            taken.append(
                world.store.lease(RUN_ID, "another", world.clock.now(), world.clock.now() + timedelta(hours=1))
            )

    renewed = threading.Event()
    supervisor = world.supervisor()
    keep = supervisor._leases.keep

    def keep_and_tell(now):
        keep(now)
        renewed.set()

    supervisor._leases.keep = keep_and_tell
    world.engine = SlowLaunch(world.engine, lambda request: slow(request) if request.run_id != RUN_ID else None)
    supervisor.tick()
    assert taken
    assert set(taken) == {None}


def test_an_attempt_whose_launch_is_under_way_is_left_alone_until_it_is_done(world, monkeypatch):
    monkeypatch.setattr(launches, "_PATIENCE_S", 0.05)
    world.submit()
    world.submit("other-bbbbbb")
    done = threading.Event()
    slow = lambda request: done.wait(PATIENCE_S) if request.run_id == RUN_ID else None  # noqa: E731
    engine, world.engine = world.engine, SlowLaunch(world.engine, slow)
    supervisor = world.supervisor()
    for _ in range(3):
        supervisor.tick()
        world.clock.sleep(60)
    world.store.request_cancel(RUN_ID)
    supervisor.tick()
    assert world.attempts()[0].state is AttemptState.LAUNCHING
    assert world.attempts("other-bbbbbb")[0].state is AttemptState.RUNNING
    assert not any(RUN_ID in call for call in engine.world.calls)
    done.set()
    supervisor._launches._under_way[f"{RUN_ID}-a1"].outcome.result(PATIENCE_S)
    for _ in range(3):
        supervisor.tick()
        world.clock.sleep(60)
    assert world.run().state is RunState.CANCELLED
    assert [request.run_id for request in world.machines.launches].count(RUN_ID) == 1


def test_a_launch_that_fails_ends_its_attempt_alone(world):
    def fail(request):
        if request.run_id == RUN_ID:
            raise EngineError("nothing to be had")

    world.submit()
    world.submit("other-bbbbbb")
    world.engine = SlowLaunch(world.engine, fail)
    world.supervisor().tick()
    assert world.attempts()[0].state is AttemptState.FAILED
    assert [event.kind for event in world.store.events(RUN_ID)] == [EventKind.PLACED, EventKind.FAILED]
    assert world.attempts("other-bbbbbb")[0].state is AttemptState.LAUNCHING


def test_a_launch_that_failed_in_a_way_nobody_foresaw_is_begun_again(world):
    faults = [OSError("the disk is away")]

    def fail(_request):
        if faults:
            raise faults.pop()

    world.submit()
    world.engine = SlowLaunch(world.engine, fail)
    supervisor = world.supervisor()
    supervisor.tick()
    assert world.machines.launches == []
    supervisor.tick()
    assert [request.attempt_id for request in world.machines.launches] == [f"{RUN_ID}-a1"]
    assert any(event.kind is EventKind.FAULT for event in world.store.events(RUN_ID))
