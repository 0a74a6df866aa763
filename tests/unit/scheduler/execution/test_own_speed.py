"""A run that is slower than was stated: what is left, the deadline and the policy follow what was seen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from factories import record
from rich.console import Console
from supervised import SupervisedWorld, job_yaml

from spotwise.cost_models.offer import Market
from spotwise.scheduler.cli.status_json import status_json
from spotwise.scheduler.cli.status_view import RunWatcher, print_end, run_detail
from spotwise.scheduler.core.deadline import DeadlineState
from spotwise.scheduler.core.errors import ExitCode
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import RunState

TRUE_HOURS = 4.0
EPOCHS = 10
HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> SupervisedWorld:
    return SupervisedWorld(tmp_path)


def slow(world: SupervisedWorld, deadline_h: float, hours: float, **keys) -> None:
    """Stated 1.3 h, true 4: epochs come as they are done, while the run stays where it is."""
    text = job_yaml(run="sleep 14400", **keys).replace("hours: 2", "hours: 1.3")
    world.submit(text=text, deadline_at=world.clock.now() + deadline_h * HOUR)
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.1)
    world.progress(record("started", 0.1))
    for epoch in range(1, round(hours / TRUE_HOURS * EPOCHS) + 1):
        world.pass_time(supervisor, TRUE_HOURS / EPOCHS, step_s=120)
        at = 0.1 + epoch * TRUE_HOURS / EPOCHS
        world.progress(record("progress", at, epoch=epoch), record("checkpoint", at, epoch=epoch))
    world.pass_time(supervisor, 0.1)


def shown(world: SupervisedWorld) -> str:
    console = Console(width=200, record=True)
    console.print(run_detail(RunWatcher(world.store, world.run().id).look(world.clock.now())))
    return console.export_text()


def late_events(world: SupervisedWorld) -> list[str]:
    return [event.message for event in world.store.events(world.run().id) if event.kind == EventKind.LATE]


def test_what_is_left_follows_the_runs_own_speed(world) -> None:
    slow(world, 9.0, 0.8, policy="on_demand")
    left = world.store.remaining(world.run().id)
    assert left is not None
    assert left.share == pytest.approx(0.8)
    assert float(left.expected_usd) == pytest.approx(0.8 * TRUE_HOURS * 0.5, rel=0.25)


def test_a_deadline_that_will_be_missed_is_said_as_soon_as_it_is_known(world) -> None:
    slow(world, 2.8, 0.8, policy="on_demand")
    assert len(late_events(world)) == 1
    assert "more likely be missed than met" in shown(world)
    view = status_json(RunWatcher(world.store, world.run().id).look(world.clock.now()))
    assert view["deadline_state"] == DeadlineState.IN_DANGER.value


def test_a_deadline_that_was_missed_is_said_at_the_end_and_by_the_exit_code(world) -> None:
    slow(world, 2.8, 3.6, policy="on_demand")
    assert "missed" in shown(world)
    world.pass_time(world.supervisor(owner=""), 3)
    assert world.run().state is RunState.COMPLETED
    view = RunWatcher(world.store, world.run().id).look(world.clock.now())
    assert view.exit_code is ExitCode.LATE
    assert "deadline missed by 73 min" in shown(world)
    console = Console(width=200, record=True)
    print_end(view, console)
    assert "deadline missed by 73 min" in console.export_text()


def test_a_run_in_time_says_nothing_and_ends_with_0(world) -> None:
    slow(world, 9.0, 3.6, policy="on_demand")
    world.pass_time(world.supervisor(), 3)
    view = RunWatcher(world.store, world.run().id).look(world.clock.now())
    assert view.exit_code is ExitCode.DONE
    assert late_events(world) == []
    assert "missed" not in shown(world)


def test_a_policy_that_minds_its_deadline_goes_on_demand_while_there_is_time_for_the_true_work(world) -> None:
    """By what was stated there would be slack for spot until two hours before the end."""
    slow(world, 5.0, 2.0)
    on_demand = [attempt for attempt in world.attempts() if attempt.offer.market is Market.ON_DEMAND]
    assert on_demand
    assert on_demand[0].launched_at - world.run().submitted_at < 2 * HOUR
