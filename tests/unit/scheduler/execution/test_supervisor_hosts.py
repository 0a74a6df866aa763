"""A run with several hosts: spread over pools, each preempted and placed again by itself, ended together."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from factories import attempt, run
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.execution.state_machine import of_all_hosts

SWEEP = """name: digits
resources: {accelerators: T4:1}
checkpoint: {every: 1 epochs}
work: {epochs: 10, hours: 2}
run: sleep 7200
sweep:
  {metric: accuracy, goal: maximize, trials: 8, parallel: 2, hosts: 2, space: {lr: {type: float, low: 0.1, high: 1}}}
"""


@pytest.fixture
def world(tmp_path):
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def submit(world, **changes):
    world.submit(text=SWEEP, hosts=2, **changes)
    return world.supervisor()


def live(world):
    return [attempt for attempt in world.attempts() if not attempt.state.is_final]


def test_hosts_are_placed_in_different_spot_pools_with_numbers_of_their_own(world):
    world.pass_time(submit(world), 0.1)
    assert [(a.number, a.host, a.offer.pool.zone) for a in live(world)] == [(1, 0, "zone-a"), (2, 1, "zone-b")]
    assert [request.env["SPOTWISE_HOST"] for request in world.machines.launches] == ["0", "1"]
    assert {request.env["SPOTWISE_HOSTS"] for request in world.machines.launches} == {"2"}


def test_a_preempted_host_is_placed_again_and_the_other_is_left_alone(world):
    supervisor = submit(world)
    world.pass_time(supervisor, 0.5)
    first, second = live(world)
    world.engine.preempt(first.id)
    world.pass_time(supervisor, 0.2)
    assert {(a.number, a.host, a.state) for a in world.attempts()} == {
        (1, 0, AttemptState.PREEMPTED),
        (2, 1, AttemptState.RUNNING),
        (3, 0, AttemptState.RUNNING),
    }
    assert second.id in {a.id for a in live(world)}


def test_the_run_is_complete_when_all_hosts_are_and_all_their_money_is_booked(world):
    supervisor = submit(world)
    world.pass_time(supervisor, 1)
    world.engine.exit(world.attempts()[0].id)
    world.pass_time(supervisor, 0.5)
    assert world.run().state is RunState.RUNNING
    assert len(live(world)) == 1, "a host that is done is not started again"
    world.engine.exit(world.attempts()[1].id)
    world.pass_time(supervisor, 0.2)
    assert world.run().state is RunState.COMPLETED
    billed = sum(
        (
            a.offer.price_usd_per_hour * Decimal((a.ended_at - a.launched_at) / timedelta(hours=1))
            for a in world.attempts()
        ),
        Decimal(0),
    )
    assert abs(world.spent() - billed) < Decimal("0.000001")


def test_a_host_that_fails_for_good_takes_the_others_down(world):
    supervisor = submit(world)
    for _ in range(3):
        world.pass_time(supervisor, 0.2)
        world.engine.exit(next(a.id for a in live(world) if a.host == 0), 1)
    world.pass_time(supervisor, 0.3)
    assert world.run().state is RunState.FAILED
    assert world.attempts()[1].state is AttemptState.CANCELLED
    assert not live(world)


def test_cancelling_ends_all_hosts(world):
    supervisor = submit(world)
    world.pass_time(supervisor, 0.5)
    world.store.request_cancel(RUN_ID)
    world.pass_time(supervisor, 0.2)
    assert world.run().state is RunState.CANCELLED
    assert [a.state for a in world.attempts()] == [AttemptState.CANCELLED] * 2


def test_the_budget_holds_for_all_hosts_together(world):
    supervisor = submit(world, budget_usd=Decimal("0.60"))
    world.pass_time(supervisor, 4)
    assert world.run().state is RunState.STOPPED
    assert Decimal("0.40") < world.spent() <= Decimal("0.60")


def test_a_new_supervisor_takes_all_hosts_over_and_starts_none_twice(world):
    world.pass_time(submit(world), 0.5)
    world.clock.sleep(60)
    world.pass_time(world.supervisor(), 0.5)
    assert [request.attempt_id for request in world.machines.launches] == [f"{RUN_ID}-a1", f"{RUN_ID}-a2"]


def test_hosts_share_a_pool_where_no_other_has_capacity(world):
    world.engine.sold_out = {offer.key for offer in world.engine.offers()[1:]}
    world.pass_time(submit(world), 0.2)
    assert [a.offer.pool.zone for a in live(world)] == ["zone-a", "zone-a"]


def test_a_host_that_waits_for_capacity_does_not_hold_up_the_other(world):
    supervisor = submit(world)
    world.pass_time(supervisor, 0.5)
    world.engine.sold_out = {offer.key for offer in world.engine.offers()}
    world.engine.preempt(world.attempts()[0].id)
    world.pass_time(supervisor, 1)
    assert (world.run().state, len(live(world))) == (RunState.RUNNING, 1)
    world.engine.sold_out = set()
    world.pass_time(supervisor, 1)
    assert sorted(a.host for a in live(world)) == [0, 1]


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({0: AttemptState.COMPLETED}, None),  # the other was never placed
        ({0: AttemptState.COMPLETED, 1: AttemptState.RUNNING}, None),
        ({0: AttemptState.COMPLETED, 1: AttemptState.PREEMPTED}, None),
        ({0: AttemptState.COMPLETED, 1: AttemptState.COMPLETED}, RunState.COMPLETED),
        ({}, None),
    ],
)
def test_the_verdict_over_all_hosts(states, verdict):
    hosts = [
        attempt(number=i + 1, state=state, host=host, ended_at=None) for i, (host, state) in enumerate(states.items())
    ]
    assert of_all_hosts(run(hosts=2), hosts, crash_limit=3).state is verdict


def test_plain_jobs_have_one_host():
    from spotwise.scheduler.jobfile.job_spec import parse_job

    assert parse_job(job_yaml(), source="job.yaml").hosts == 1
    assert parse_job(SWEEP, source="sweep.yaml").hosts == 2
