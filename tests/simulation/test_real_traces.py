"""The supervisor, its policy and its ledger on recorded spot availability: two days of work, simulated in seconds."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from factories import T0, record
from fakes import FakeEngine, make_offer
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.cost_models.offer import Market
from spotwise.scheduler.accounting.ledger import cost_of
from spotwise.scheduler.core.run import AttemptState, RunState

TRACES = sorted((Path(__file__).parent / "traces").glob("*.json"))
WORK_HOURS = 24.0
RESTART_HOURS = 0.1
SPOT = make_offer("zone-a", price="0.92", on_demand="3.06")
ON_DEMAND = make_offer("zone-a", Market.ON_DEMAND, on_demand="3.06")


def availability(path: Path) -> tuple[list[bool], float]:
    """One entry a tick, and the hours of a tick."""
    trace = json.loads(path.read_text(encoding="utf-8"))
    return [value > 0 for value, length in trace["runs"] for _ in range(length)], trace["gap_seconds"] / 3600


class Replay:
    """Plays a trace: takes spot machines away when it says so, and lets training advance on whatever is held."""

    def __init__(self, world: SupervisedWorld, path: Path) -> None:
        self.world = world
        self.up, self.tick_hours = availability(path)
        self.done_hours = 0.0
        world.engine = FakeEngine(world.clock, world.machines, offers=[SPOT, ON_DEMAND], provision_s=0)

    def run(self, supervisor, hours: float) -> None:
        for tick in range(int(hours / self.tick_hours)):
            self._market(self.up[tick])
            supervisor.tick()
            self.world.clock.sleep(self.tick_hours * 3600)
            self._train()
            if self.world.run().state.is_final:
                return

    def _market(self, is_up: bool) -> None:
        self.world.engine.sold_out = set() if is_up else {SPOT.key}
        live = self._live()
        if live is not None and live.offer.is_spot and not is_up:
            self.world.engine.preempt(live.id)

    def _train(self) -> None:
        """An hour of work is an epoch; a restart costs its time first; everything done is in a checkpoint."""
        live = self._live()
        if live is None:
            return
        now = (self.world.clock.now() - T0) / timedelta(hours=1)
        held = now - (live.launched_at - T0) / timedelta(hours=1)
        self.done_hours += max(0.0, min(self.tick_hours, held - RESTART_HOURS))
        self.world.progress(record("checkpoint", now, live.number, epoch=int(self.done_hours)))
        if self.done_hours >= WORK_HOURS:
            self.world.engine.exit(live.id, 0)

    def _live(self):
        attempts = self.world.attempts()
        return attempts[-1] if attempts and not attempts[-1].state.is_final else None


@pytest.fixture(params=TRACES, ids=[path.stem[:24] for path in TRACES])
def replay(request, tmp_path):
    world = SupervisedWorld(tmp_path)
    yield Replay(world, request.param)
    world.store.close()


def submit(world: SupervisedWorld, deadline_hours: int, policy: str = "deadline") -> None:
    text = job_yaml(run="train", policy=policy, deadline=f"{deadline_hours}h")
    text = text.replace("work: {epochs: 10, hours: 2}", f"work: {{epochs: {int(WORK_HOURS)}, hours: {WORK_HOURS}}}")
    world.submit(text=text, deadline_at=world.clock.now() + timedelta(hours=deadline_hours))


ON_DEMAND_USD = Decimal("3.06") * Decimal(str(WORK_HOURS + RESTART_HOURS))


def test_the_deadline_is_met_and_spot_saves_where_there_is_any(replay):
    """One simulation, looked at in three ways: it takes a while."""
    world = replay.world
    submit(world, 48)
    replay.run(world.supervisor(), 60)
    assert_in_time_and_cheap(replay)
    assert_spot_was_held_only_while_there_was_spot(replay)
    assert_every_attempt_is_booked_to_the_last_digit(world)


def assert_in_time_and_cheap(replay: Replay) -> None:
    """One of these recordings has next to no spot capacity on its first days: there it must not cost more than 1 %."""
    run = replay.world.run()
    assert run.state is RunState.COMPLETED
    assert run.ended_at <= run.deadline_at
    hours_up = sum(replay.up[: int(48 / replay.tick_hours)]) * replay.tick_hours
    assert replay.world.spent() <= ON_DEMAND_USD * (Decimal("0.75") if hours_up > 24 else Decimal("1.01"))


def assert_spot_was_held_only_while_there_was_spot(replay: Replay) -> None:
    for attempt in replay.world.attempts():
        if attempt.offer.is_spot and attempt.state is not AttemptState.REFUSED:
            first = (attempt.launched_at - T0) / timedelta(hours=replay.tick_hours)
            last = (attempt.ended_at - T0) / timedelta(hours=replay.tick_hours)
            assert all(replay.up[round(first) : round(last)])


def assert_every_attempt_is_booked_to_the_last_digit(world: SupervisedWorld) -> None:
    charges = world.store.charges(RUN_ID)
    assert charges
    for attempt in world.attempts():
        mine = [charge for charge in charges if charge.attempt_id == attempt.id]
        assert sum((charge.amount_usd for charge in mine), Decimal(0)) == cost_of(attempt, attempt.ended_at)


def test_spot_only_never_pays_on_demand(replay):
    world = replay.world
    submit(world, 400, policy="spot_only")
    replay.run(world.supervisor(), 90)
    assert all(attempt.offer.is_spot for attempt in world.attempts())
