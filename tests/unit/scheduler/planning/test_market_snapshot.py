"""What refused attempts say of capacity, and what a run makes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from factories import T0, at, attempt, offer
from fakes import FakeEngine
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.pool_exposure import PoolExposure
from spotwise.scheduler.core.run import AttemptState, CostBasis, RunState
from spotwise.scheduler.jobfile.settings import OverheadSettings
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.planning.market_snapshot import gather, without_capacity
from spotwise.scheduler.planning.past_attempts import PastAttempts

HOUR = timedelta(hours=1)
A, B = offer("a"), offer("b")
OVERHEADS = OverheadSettings().in_hours()


def refused(hours, where=A, cause=EndCause.NO_CAPACITY):
    moment = at(hours)
    return attempt(state=AttemptState.REFUSED, offer=where, launched_at=moment, ended_at=moment, end_cause=cause)


def past(*attempts):
    return PastAttempts(attempts, {})


def came_up(hours, where=A, state=AttemptState.RUNNING):
    return attempt(state=state, offer=where, launched_at=at(hours), started_at=at(hours + 0.1))


@pytest.mark.parametrize(
    ("attempts", "found"),
    [
        ([], {}),
        ([refused(0.5)], {A.key: at(0.5)}),
        ([refused(0.0)], {}),  # an hour ago: that may have changed
        ([refused(0.2), refused(0.5)], {A.key: at(0.5)}),
        ([refused(0.5), refused(0.2)], {A.key: at(0.5)}),
        ([refused(0.5), came_up(0.6)], {}),
        ([refused(0.5), came_up(0.6, state=AttemptState.PREEMPTED)], {}),
        ([came_up(0.4), refused(0.5)], {A.key: at(0.5)}),
        ([refused(0.5), came_up(0.6, B)], {A.key: at(0.5)}),
        ([refused(0.5), attempt(offer=A, launched_at=at(0.6), state=AttemptState.LAUNCHING)], {A.key: at(0.5)}),
        ([refused(0.5), refused(0.7, B)], {A.key: at(0.5), B.key: at(0.7)}),
        ([refused(0.5, cause=EndCause.WITHDRAWN)], {}),
        ([refused(0.5, cause=EndCause.NOT_OFFERED)], {}),
        ([refused(0.5, cause=None)], {A.key: at(0.5)}),  # of a version that did not keep the cause
    ],
)
def test_an_offer_has_no_capacity_from_a_refusal_until_the_cooldown_or_until_it_comes_up(attempts, found) -> None:
    assert without_capacity(attempts, at(1.0), HOUR) == found


class SilentEngine(FakeEngine):
    """States nothing of availability, as clouds do."""

    cost_basis = CostBasis.ESTIMATED

    def available(self):
        return {}


def test_the_spot_and_the_on_demand_offer_of_a_pool_are_told_apart() -> None:
    on_demand = offer("a", Market.ON_DEMAND, "0.526")
    known = gather(
        SilentEngine(ManualClock(T0), offers=[A, on_demand]), past(refused(0.5)), OVERHEADS, at(1), cooldown_hours=1.0
    )
    assert known.available == {A.key: False}


def test_what_the_engine_states_counts_more_than_a_refusal() -> None:
    known = gather(FakeEngine(ManualClock(T0), offers=[A]), past(refused(0.5)), OVERHEADS, at(1), cooldown_hours=1.0)
    assert known.available == {A.key: True}
    assert known.no_capacity_at == {}


def test_an_emulated_market_says_nothing_of_real_capacity() -> None:
    emulated = refused(0.5).evolve(cost_basis=CostBasis.EMULATED)
    engine = SilentEngine(ManualClock(T0), offers=[A])
    assert gather(engine, past(emulated), OVERHEADS, at(1), cooldown_hours=1.0).available == {}


def test_newer_attempts_replace_what_older_ones_said() -> None:
    engine = SilentEngine(ManualClock(T0), offers=[A, B])
    known = gather(engine, past(refused(0.5)), OVERHEADS, at(1), cooldown_hours=1.0)
    later = known.with_refusals([refused(0.5), came_up(0.6), refused(0.9, B)], at(1), 1.0)
    assert (later.available, later.no_capacity_at) == ({B.key: False}, {B.key: at(0.9)})


def test_the_cooldown_is_billed_time() -> None:
    """On a market whose hour lasts 10 s, half an hour of wall clock is long ago."""
    from decimal import Decimal

    engine = SilentEngine(ManualClock(T0), offers=[A], hour_s=Decimal(10))
    assert gather(engine, past(refused(0.5)), OVERHEADS, at(1), cooldown_hours=1.0).available == {}


def test_what_was_seen_of_a_pool_updates_what_is_believed_of_it() -> None:
    engine = SilentEngine(ManualClock(T0), offers=[A, B])
    seen = PastAttempts((), {A.pool: PoolExposure(3, 40.0)})
    known = gather(engine, seen, OVERHEADS, at(1), cooldown_hours=1.0)
    assert known.beliefs[A.pool].events == known.beliefs[B.pool].events + 3
    assert known.beliefs[A.pool].hours == known.beliefs[B.pool].hours + 40.0


# through the supervisor, on an engine that knows of capacity only by trying


@pytest.fixture
def world(tmp_path):
    made = SupervisedWorld(tmp_path)
    made.engine = SilentEngine(made.clock, made.machines)
    yield made
    made.store.close()


def zones(world, run_id=RUN_ID):
    return [f"{a.offer.pool.zone}/{a.offer.market.value}" for a in world.attempts(run_id)]


def sell_out(world, *, but=()):
    world.engine.sold_out = {o.key for o in world.engine.offers()} - set(but)


def test_every_offer_is_tried_before_one_is_tried_again(world) -> None:
    sell_out(world)
    world.submit()
    world.pass_time(world.supervisor(), 0.1)
    assert zones(world) == ["zone-a/spot", "zone-b/spot", "zone-a/on_demand"]


def test_what_refused_a_moment_ago_is_not_asked_again_at_the_next_look(world) -> None:
    """The past is read from the store now and then; what this run has just seen counts at once."""
    sell_out(world)
    world.submit()
    world.pass_time(world.supervisor(), 9 / 3600, step_s=1)
    assert zones(world) == ["zone-a/spot", "zone-b/spot", "zone-a/on_demand"]


def test_a_run_that_every_offer_refused_neither_stops_nor_spins_and_goes_on_when_capacity_is_back(world) -> None:
    sell_out(world)
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 3)
    assert world.run().state is RunState.WAITING
    tried = len(world.attempts())
    assert 15 <= tried <= 33, "3 at once, then one in six minutes, and all anew after the cooldown"
    assert set(zones(world)[3:]) == set(zones(world)[:3]), "in turn"
    world.engine.sold_out = set()
    world.pass_time(supervisor, 0.3)
    assert world.run().state is RunState.RUNNING


def test_an_offer_that_refused_one_run_is_not_the_first_choice_of_another(world) -> None:
    world.engine.sold_out = {world.engine.offers()[0].key}
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.4)
    world.submit("second-run")
    world.pass_time(supervisor, 0.1)
    assert zones(world) == ["zone-a/spot", "zone-b/spot"]
    assert zones(world, "second-run") == ["zone-b/spot"]
    assert "without capacity lately" in world.attempts("second-run")[0].reason


def test_on_demand_capacity_is_tried_again_and_again_where_no_slack_is_left(world) -> None:
    sell_out(world)
    text = job_yaml(deadline="38h40m").replace("hours: 2", "hours: 20")  # 38.0 h with 90 %, margin 0.4 h
    world.submit(text=text, deadline_at=at(38 + 2 / 3))
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.45)
    assert zones(world)[-2:] == ["zone-a/on_demand"] * 2
    assert "though it had no capacity" in world.attempts()[-1].reason
    sell_out(world, but=[world.engine.offers()[2].key])
    world.pass_time(supervisor, 0.15)
    assert world.live().state is AttemptState.RUNNING
    assert world.live().offer.market is Market.ON_DEMAND
