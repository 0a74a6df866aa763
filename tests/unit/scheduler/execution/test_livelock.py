"""Spot machines that live for less time than a job takes to get on: the money ends near what on demand costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from factories import record
from fakes import FakeEngine, make_offer
from supervised import SupervisedWorld, job_yaml

from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState, RunState

LIFE_HOURS = 1.0
SPOT, ON_DEMAND = Decimal("0.20"), Decimal("0.50")


@pytest.fixture
def world(tmp_path: Path) -> SupervisedWorld:
    """Four spot pools and one on demand; nothing is known of their hazards but what is published."""
    found = SupervisedWorld(tmp_path)
    offers = [make_offer(f"zone-{letter}", price=str(SPOT)) for letter in "abcd"]
    offers.append(make_offer("zone-a", Market.ON_DEMAND, on_demand=str(ON_DEMAND)))
    found.engine = FakeEngine(found.clock, found.machines, offers=offers)
    return found


def play(world: SupervisedWorld, hours: float, each: Callable[[SupervisedWorld], None] | None = None) -> None:
    """Let time pass; each spot machine is taken back after an hour, and its program can save nothing by then."""
    supervisor = world.supervisor()
    for _ in range(round(hours * 6)):
        world.pass_time(supervisor, 1 / 6, step_s=300)
        if each is not None:
            each(world)
        for attempt in world.attempts():
            old = world.clock.now() - attempt.launched_at >= timedelta(hours=LIFE_HOURS)
            if attempt.offer.is_spot and not attempt.state.is_final and old:
                world.engine.preempt(attempt.id, exit_code=137)


def markets(world: SupervisedWorld) -> str:
    """``SSD``: two attempts on spot, then one on demand."""
    return "".join("S" if attempt.offer.is_spot else "D" for attempt in world.attempts())


def warnings(world: SupervisedWorld) -> list[str]:
    return [event.message for event in world.store.events(world.run().id) if event.kind == EventKind.UNSAVED]


TERMS = {
    "auto": {},
    "cheapest": {"policy": "cheapest"},
    "deadline": {"policy": "deadline", "deadline": "60h"},
    "auto with a deadline": {"deadline": "60h"},
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
@pytest.mark.parametrize("step", ["setup", "first interval"])
def test_what_takes_longer_than_machines_live_is_done_on_demand_after_two_losses(world, terms, step) -> None:
    keys = dict(terms, setup="sleep 7200", run="sleep 7200") if step == "setup" else dict(terms, run="sleep 14400")
    world.submit(text=job_yaml(**keys))
    play(world, 12)
    assert markets(world) == "SSD"
    assert world.run().state is RunState.COMPLETED
    on_demand = ON_DEMAND * Decimal(4)
    assert world.spent() <= on_demand + 2 * SPOT * Decimal("1.2") + Decimal("0.05")
    assert len(warnings(world)) == 2
    assert "2 spot machines in a row" in world.attempts()[-1].reason


def test_a_job_on_spot_capacity_alone_stops_with_what_was_seen(world) -> None:
    world.submit(text=job_yaml(policy="spot_only", run="sleep 14400"))
    play(world, 12)
    assert markets(world) == "SS"
    assert world.run().state is RunState.FAILED
    assert "2 spot machines in a row lost with nothing kept" in world.run().end_reason
    assert "at 2 in a row, of which this is no. 1, the run stops" in warnings(world)[0]


def test_where_no_on_demand_capacity_is_sold_the_run_stops_as_well(world) -> None:
    world.engine._offers = [offer for offer in world.engine.offers() if offer.is_spot]
    world.submit(text=job_yaml(run="sleep 14400"))
    play(world, 12)
    assert markets(world) == "SS"
    assert "no on-demand offer can do this work" in world.run().end_reason


def test_an_export_after_the_last_epoch_that_outlives_machines_is_done_on_demand(world) -> None:
    """All epochs are kept by the first attempt; what comes then never ends on a spot machine."""
    world.submit(text=job_yaml(run="sleep 14400"))
    world.progress(record("started", 0.1), record("progress", 0.4, epoch=10), record("checkpoint", 0.5, epoch=10))
    play(world, 14)
    assert markets(world) == "SSSSD"
    assert world.run().state is RunState.COMPLETED


def test_a_run_that_keeps_something_of_every_machine_stays_on_spot(world) -> None:
    def saves(world: SupervisedWorld) -> None:
        live = world.live()
        if not live.state.is_final:
            now = (world.clock.now() - world.run().submitted_at) / timedelta(hours=1)
            world.progress(record("checkpoint", now, live.number, epoch=live.number))

    world.submit(text=job_yaml(run="sleep 14400"))
    play(world, 6, saves)
    assert set(markets(world)) == {"S"}
    assert warnings(world) == []


def test_losses_on_demand_and_refusals_are_not_counted(world) -> None:
    world.submit(text=job_yaml(policy="on_demand", run="sleep 14400"))
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.engine.vanish(world.live().id)
    world.pass_time(supervisor, 0.5)
    assert warnings(world) == []
    assert world.attempts()[0].state is AttemptState.LOST


def test_a_budget_that_ends_with_nothing_kept_is_not_said_to_end_at_a_checkpoint(world) -> None:
    world.submit(text=job_yaml(run="sleep 14400", policy="on_demand"), budget_usd=Decimal("0.60"))
    play(world, 3)
    assert world.run().state is RunState.STOPPED
    assert "with nothing kept" in world.run().end_reason


@pytest.mark.parametrize(("budget", "attempts"), [("0.55", 1), ("0.75", 2), ("0.30", 0)])
def test_an_attempt_that_cannot_reach_a_checkpoint_with_what_is_left_of_the_budget_is_not_started(
    world, budget: str, attempts: int
) -> None:
    """Each epoch takes two hours, 0.40 USD; each machine is lost after one, with nothing kept."""
    text = job_yaml(run="sleep 72000", policy="spot_only").replace("hours: 2", "hours: 20")
    world.submit(text=text, budget_usd=Decimal(budget))
    play(world, 6)
    assert len(world.attempts()) == attempts
    if attempts < 2:  # the second loss in vain ends it anyway
        assert world.run().state is RunState.STOPPED
        assert "too little to start and reach a checkpoint" in world.run().end_reason
    assert world.spent() <= attempts * SPOT * Decimal("1.2")
