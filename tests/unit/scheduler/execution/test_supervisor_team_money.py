"""A team's budget of the month holds after admission too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.jobfile.settings import TeamSettings

OTHER = "other-bbbbbb"


@pytest.fixture
def world(tmp_path):
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def with_budget(world, usd):
    teams = {"vision": TeamSettings.model_validate({"monthly_budget": f"{usd} USD"})}
    world.settings = replace(world.settings, teams=teams)


def spent_by_all(world):
    return sum((charge.amount_usd for charge in world.store.charges()), Decimal(0))


def test_a_run_stops_at_a_checkpoint_when_its_teams_month_is_spent(world):
    """Two hours at 0.20 USD, admitted with 0.25 of a team's 0.25."""
    with_budget(world, "0.25")
    world.submit(reserved_usd=Decimal("0.25"))
    world.pass_time(world.supervisor(), 3)
    run = world.run()
    assert run.state is RunState.STOPPED
    assert "team vision's budget of 0.25 USD a month is spent" in run.end_reason
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.CANCELLED]
    assert Decimal("0.20") < spent_by_all(world) <= Decimal("0.25")


def test_the_nearer_of_two_budgets_stops_a_run(world):
    with_budget(world, "0.30")
    world.submit(budget_usd=Decimal("0.20"))
    world.pass_time(world.supervisor(), 3)
    assert "the budget of 0.20 USD is spent" in world.run().end_reason


def test_a_run_never_takes_what_another_was_admitted_with(world):
    """Of 0.55 USD one was admitted with 0.10 and needs 0.40; the other with 0.45, of which it needs 0.40."""
    with_budget(world, "0.55")
    world.submit(reserved_usd=Decimal("0.10"))
    world.submit(OTHER, reserved_usd=Decimal("0.45"))
    world.pass_time(world.supervisor(), 4)
    assert world.run(OTHER).state is RunState.COMPLETED
    assert world.spent(OTHER) == Decimal("0.40")
    assert world.run().state is RunState.STOPPED
    assert spent_by_all(world) <= Decimal("0.55")


def test_a_run_waits_for_money_that_others_have_set_aside_and_goes_on_when_it_is_free(world):
    """The other costs 0.10 of the 0.70 that it was admitted with."""
    with_budget(world, "0.80")
    world.submit(reserved_usd=Decimal("0.10"))
    world.submit(OTHER, text=job_yaml(run="sleep 3000"), reserved_usd=Decimal("0.70"))
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.7)
    assert world.run().state is RunState.WAITING
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.MIGRATED]
    waiting = [event.message for event in world.store.events(RUN_ID) if event.kind is EventKind.WAITING]
    assert waiting == [
        "of team vision's budget of 0.80 USD a month, other runs have set aside what is left: "
        "waiting for it to become free"
    ]
    world.pass_time(supervisor, 4)
    assert world.run().state is RunState.COMPLETED
    assert spent_by_all(world) <= Decimal("0.80")


def test_many_runs_without_anything_set_aside_stop_in_time_together(world):
    with_budget(world, "0.50")
    for number in range(5):
        world.submit(f"run-{number}")
    world.pass_time(world.supervisor(), 4)
    assert {run.state for run in world.store.runs()} == {RunState.STOPPED}
    assert Decimal("0.40") < spent_by_all(world) <= Decimal("0.50")


def test_what_was_spent_before_the_month_began_stops_no_run(world):
    """An hour of two in each month, of 0.30 USD each."""
    world.clock.moment = datetime(2026, 3, 31, 23, tzinfo=UTC)
    with_budget(world, "0.30")
    world.submit(reserved_usd=Decimal("0.40"))
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED
    assert spent_by_all(world) == Decimal("0.40")


def test_another_teams_money_stops_no_run(world):
    with_budget(world, "0.25")
    world.submit(team="audio")
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED


def test_the_machine_is_told_its_share_of_the_teams_money(world):
    """0.10 set aside and half of the 0.20 that nobody has pays for an hour; 5 s of grace come off."""
    with_budget(world, "0.50")
    emulated = '{"cost_basis": "emulated"}'
    world.submit(reserved_usd=Decimal("0.10"), plan_json=emulated)
    world.submit(OTHER, reserved_usd=Decimal("0.20"), plan_json=emulated)
    world.supervisor().tick()
    told = {request.run_id: request.stop_after_s for request in world.machines.launches}
    assert told == {RUN_ID: pytest.approx(3600 - 5), OTHER: pytest.approx(1.5 * 3600 - 5)}
