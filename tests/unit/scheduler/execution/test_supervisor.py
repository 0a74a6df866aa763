"""The loop that acts: placements, preemptions, crashes of programs and of supervisors, budgets, cancellation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from databases import KINDS, empty_database
from factories import record
from fakes import FakeEngine
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.cost_models.offer import Market
from spotwise.scheduler.accounting.ledger import Category
from spotwise.scheduler.core.errors import CapacityError, EngineError, StoreError
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.remaining import ChanceOf
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.engines.base import handle_of
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.policies.base import Move, Stay, Wait


@pytest.fixture(params=KINDS)
def world(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        made = SupervisedWorld(tmp_path, database=url)
        yield made
        made.store.close()


def states(world):
    return [attempt.state for attempt in world.attempts()]


def test_a_run_is_placed_on_the_cheapest_offer_and_completes(world):
    world.submit()
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED
    assert states(world) == [AttemptState.COMPLETED]
    assert world.spent() == Decimal("0.40")  # two hours at 0.20, from when the machine was up
    assert world.attempts()[0].offer.pool.zone == "zone-a"


def test_a_preempted_run_goes_on_elsewhere_and_both_attempts_are_booked(world):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 1)
    world.engine.preempt(world.live().id)
    world.pass_time(supervisor, 4)
    first, second = world.attempts()
    assert (first.state, second.state) == (AttemptState.PREEMPTED, AttemptState.COMPLETED)
    assert first.offer.pool != second.offer.pool, "never straight back into the pool that preempted"
    assert {charge.attempt_id for charge in world.store.charges()} == {first.id, second.id}


def test_every_move_has_a_reason_that_is_kept(world):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.engine.preempt(world.live().id)
    world.pass_time(supervisor, 3)
    kinds = [event.kind for event in world.store.events(RUN_ID)]
    assert kinds == ["placed", "preempted", "unsaved", "placed", "completed", "incomplete", "ended"]
    assert all(event.message for event in world.store.events(RUN_ID))


def test_what_is_left_is_estimated_anew_while_a_run_goes_on(world):
    """Of 2 h, by the epochs that are kept: first all, then a half; while spot is gone, on demand."""
    deadline = world.clock.now() + timedelta(hours=12)
    world.submit(text=job_yaml(deadline="12h"), deadline_at=deadline)
    supervisor = world.supervisor()
    supervisor.tick()
    first = world.store.remaining(RUN_ID)
    assert (first.share, first.is_held, first.offer) == (1.0, True, world.live().offer.key)
    world.pass_time(supervisor, 1)
    world.progress(record("checkpoint", 1, epoch=5, checkpoint="step-5"))
    world.pass_time(supervisor, 0.1)
    half = world.store.remaining(RUN_ID)
    assert half.share == 0.5
    assert half.expected_usd < first.expected_usd
    assert half.on_demand_usd < first.on_demand_usd
    assert world.clock.now() - half.at <= timedelta(minutes=3)
    assert (half.chance_to_meet_deadline, half.chance_of) == (1.0, ChanceOf.ON_DEMAND)
    world.engine.sold_out = {offer.key for offer in world.engine.offers() if offer.is_spot}
    world.engine.preempt(world.live().id)
    world.pass_time(supervisor, 0.5)
    assert world.store.remaining(RUN_ID).share == 0.5
    assert world.store.remaining(RUN_ID).at > half.at


def test_a_sold_out_pool_is_passed_over(world):
    world.submit()
    world.engine.sold_out = {world.engine.offers()[0].key}
    world.pass_time(world.supervisor(), 0.2)
    assert world.live().offer.pool.zone == "zone-b"


def test_capacity_that_goes_while_it_is_asked_for_is_refused_and_costs_nothing(world):
    """The engine said available, and the launch was refused."""
    world.submit()
    cheapest = world.engine.offers()[0].key
    world.engine.available = dict
    world.engine.sold_out = {cheapest}
    world.pass_time(world.supervisor(), 4)
    assert states(world) == [AttemptState.REFUSED, AttemptState.COMPLETED]
    assert not [c for c in world.store.charges() if c.attempt_id == world.attempts()[0].id]


def test_nothing_available_waits_and_says_so_once(world):
    world.submit()
    everything = {offer.key for offer in world.engine.offers()}
    world.engine.sold_out = everything
    supervisor = world.supervisor()
    world.pass_time(supervisor, 1)
    assert world.run().state is RunState.WAITING
    assert [event.kind for event in world.store.events(RUN_ID)] == ["waiting"]
    world.engine.sold_out = set()
    world.pass_time(supervisor, 4)
    assert world.run().state is RunState.COMPLETED


def test_a_program_that_keeps_crashing_fails_after_three_attempts_with_its_last_lines(world):
    world.submit(text=job_yaml(run="echo out of memory; exit 1"))
    world.pass_time(world.supervisor(), 2)
    assert states(world) == [AttemptState.FAILED] * 3
    assert world.run().state is RunState.FAILED
    assert "out of memory" in world.run().end_reason


def test_a_log_that_cannot_be_read_keeps_no_run_from_ending(world):
    world.submit(text=job_yaml(run="exit 127"))

    def logs(handle, *, tail=None):
        raise EngineError("s3://bucket cannot be read: Forbidden")
        yield

    world.engine.logs = logs
    world.pass_time(world.supervisor(), 1)
    assert world.run().state is RunState.FAILED
    assert "its log cannot be read: s3://bucket cannot be read: Forbidden" in world.run().end_reason


def test_last_lines_are_shown_without_the_terminals_colours(world):
    world.submit(text=job_yaml(run="exit 127"))
    world.engine.logs = lambda handle, *, tail=None: iter(["\x1b[31mout of memory\x1b[0m\x1b[K"])
    world.pass_time(world.supervisor(), 1)
    assert world.run().end_reason.endswith("\n  | out of memory")


def test_crashes_with_progress_in_between_do_not_add_up(world):
    world.submit()
    supervisor = world.supervisor()
    for number in range(1, 6):
        world.pass_time(supervisor, 0.2)
        world.progress(record("checkpoint", number, number, epoch=number))
        world.engine.exit(world.live().id, 1)
    world.pass_time(supervisor, 0.1)
    assert world.run().state is RunState.RUNNING


def test_a_command_that_does_not_exist_is_not_tried_again(world):
    world.submit(text=job_yaml(run="exit 127"))
    world.pass_time(world.supervisor(), 1)
    assert states(world) == [AttemptState.FAILED]
    assert "not found" in world.run().end_reason


def test_a_launch_that_the_engine_cannot_carry_out_counts_as_a_crash(world):
    world.submit()
    world.engine.failing["launch"] = [EngineError("no such image")] * 3
    world.pass_time(world.supervisor(), 1)
    assert world.run().state is RunState.FAILED
    assert "no such image" in world.run().end_reason
    assert [attempt.end_cause for attempt in world.attempts()] == [EndCause.LAUNCH_FAILED] * 3


def test_a_launch_without_capacity_keeps_that_as_its_cause_and_as_the_kind_of_its_event(world):
    world.submit()
    world.engine.failing["launch"] = [CapacityError("none left")]
    world.pass_time(world.supervisor(), 0.1)
    assert world.attempts()[0].end_cause is EndCause.NO_CAPACITY
    assert EventKind.REFUSED in [event.kind for event in world.store.events(RUN_ID)]


def test_a_spent_budget_stops_at_a_checkpoint(world):
    world.submit(budget_usd=Decimal("0.25"))
    world.pass_time(world.supervisor(), 4)
    run = world.run()
    assert run.state is RunState.STOPPED
    assert "budget" in run.end_reason
    assert world.spent() <= Decimal("0.25")
    assert states(world) == [AttemptState.CANCELLED]
    assert any(call.startswith("terminate") for call in world.machines.calls)


def test_a_machine_that_has_used_up_the_budget_by_itself_is_not_followed_by_another(world):
    """Its node stopped it a moment before the supervisor would have: what is left was meant for leaving."""
    world.submit(budget_usd=Decimal("0.25"))
    world.pass_time(world.supervisor(), 0.5)
    world.engine.terminate(handle_of(world.run(), world.live()), grace_s=60.0)  # nobody here has asked for it
    world.pass_time(world.supervisor(), 1)
    run = world.run()
    assert (run.state, run.end_reason) == (RunState.STOPPED, "the budget of 0.25 USD is spent")
    assert states(world) == [AttemptState.CANCELLED]


def test_a_budget_that_pays_for_no_start_starts_nothing(world):
    world.submit(budget_usd=Decimal("0.001"))
    world.pass_time(world.supervisor(), 1)
    assert world.run().state is RunState.STOPPED
    assert world.attempts() == []


@pytest.mark.parametrize("hours", [0.0, 0.01, 0.5], ids=["before placing", "while provisioning", "while running"])
def test_cancel_ends_what_is_billed(world, hours):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, hours)
    world.store.request_cancel(RUN_ID)
    world.pass_time(supervisor, 0.2)
    assert world.run().state is RunState.CANCELLED
    assert all(attempt.state.is_final for attempt in world.attempts())
    spent = world.spent()
    world.pass_time(supervisor, 1)
    assert world.spent() == spent


def test_a_lost_machine_is_replaced(world):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.engine.vanish(world.live().id)
    world.pass_time(supervisor, 4)
    assert states(world) == [AttemptState.LOST, AttemptState.COMPLETED]


def test_without_slack_the_run_moves_on_demand(world):
    """Two hours of work, perhaps four, and a deadline in 6: after 2 h without progress only on-demand is safe."""
    deadline = world.clock.now() + timedelta(hours=6)
    world.submit(text=job_yaml(run="sleep 999999", deadline="6h"), deadline_at=deadline)
    world.pass_time(world.supervisor(), 3)
    assert states(world)[0] is AttemptState.MIGRATED
    assert world.live().offer.market is Market.ON_DEMAND


def test_a_start_that_takes_too_long_for_the_slack_is_not_tried_on_another_spot_pool(world):
    """What was given up has shown that starts take longer than assumed: it is no news of one pool alone."""
    world.engine = FakeEngine(world.clock, world.machines, provision_s=36_000)
    world.submit(text=job_yaml(deadline="6h"), deadline_at=world.clock.now() + timedelta(hours=6))
    supervisor = world.supervisor()
    while len(world.attempts()) < 2:
        world.pass_time(supervisor, 1 / 60)
    given_up, then = world.attempts()
    assert (given_up.offer.market, given_up.end_cause) == (Market.SPOT, EndCause.WITHDRAWN)
    assert then.offer.market is Market.ON_DEMAND
    assert world.spent() == 0


def test_a_policy_that_waits_gives_up_what_the_run_holds(world, monkeypatch):
    """And the run comes back to it later, from its checkpoint."""

    class WaitsOnce:
        name = "waits once"

        def decide(self, situation):
            held, spot = situation.current, situation.candidates[0].offer
            if held is not None and not any(a.migrating for a in world.attempts()) and len(world.attempts()) == 1:
                return Wait(situation.now, "nothing for now")
            return Stay("holds it") if held is not None else Move(spot, "goes on")

    monkeypatch.setattr("spotwise.scheduler.execution.supervisor.policy_named", lambda *_: WaitsOnce())
    world.submit()
    world.pass_time(world.supervisor(), 4)
    assert states(world) == [AttemptState.MIGRATED, AttemptState.COMPLETED]
    assert [e.message for e in world.store.events(RUN_ID) if e.kind == "migrating"] == ["nothing for now"]


def test_two_supervisors_never_act_on_one_run(world):
    world.submit()
    one, two = world.supervisor(), world.supervisor()
    for _ in range(200):
        one.tick()
        two.tick()
        world.clock.sleep(60)
    assert [call for call in world.machines.calls if call.startswith("launch")] == ["launch digits-aaaaaa-a1"]
    assert world.run().state is RunState.COMPLETED


def test_a_supervisor_that_slept_leaves_the_run_to_the_one_that_took_over(world):
    world.submit()
    sleeper, other = world.supervisor(), world.supervisor()
    sleeper.tick()
    world.clock.sleep(3600)  # its lease has expired
    other.tick()
    sleeper.tick()
    world.pass_time(other, 3)
    sleeper.tick()
    assert world.run().state is RunState.COMPLETED
    assert len(world.attempts()) == 1


def test_a_fault_of_one_run_does_not_stop_the_others(world):
    world.submit("broken", text=job_yaml(run="sleep 60"))
    (world.folder / "runs" / "broken" / "progress.jsonl").mkdir()
    world.submit()
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED
    assert any(event.kind == "fault" for event in world.store.events("broken"))


def test_charges_tell_productive_from_lost_work(world):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 1)
    start = (world.clock.now() - world.run().submitted_at) / timedelta(hours=1)
    world.progress(record("started", 0.1), record("checkpoint", 0.5, epoch=3))
    assert start == 1
    world.engine.preempt(world.live().id, 137)
    world.pass_time(supervisor, 0.05)
    by_category = {charge.category: charge.amount_usd for charge in world.store.charges()}
    assert by_category[Category.PRODUCTIVE] == Decimal("0.08")  # 0.1 h to 0.5 h at 0.20
    assert by_category[Category.LOST_WORK] == Decimal("0.10")  # 0.5 h to 1 h


def test_a_dead_supervisor_elsewhere_is_waited_out(world):
    """Its host is gone, and its lease lasts for seconds more: the next one does not leave before it expires."""
    world.submit(text=job_yaml(run="sleep 120"))
    world.supervisor(owner="gone-host 1 0").tick()
    world.settings = replace(world.settings, tick=timedelta(seconds=1))
    world.supervisor(owner="other-host 2 0").run(until_idle=True)
    assert world.run().state is RunState.COMPLETED


def test_a_machine_lost_again_and_again_is_not_started_for_ever(world):
    world.submit()
    supervisor = world.supervisor()
    for _ in range(3):
        world.pass_time(supervisor, 0.1)
        world.engine.vanish(world.live().id)
    world.pass_time(supervisor, 0.1)
    assert world.run().state is RunState.FAILED
    assert states(world) == [AttemptState.LOST] * 3


def test_a_secret_that_a_program_prints_is_not_stored(world):
    world.submit(text=job_yaml(run="echo the token is hunter22; exit 127"))
    (world.folder / "runs" / RUN_ID / "secrets.json").write_text('{"TOKEN": "hunter22"}')
    world.pass_time(world.supervisor(), 0.2)
    assert "the token is ***" in world.run().end_reason
    assert not any("hunter22" in event.message for event in world.store.events(RUN_ID))
    assert not (world.folder / "runs" / RUN_ID / "secrets.json").exists()


class Outage:
    """A store that fails until a moment."""

    def __init__(self, store, clock, until):
        self._store, self._clock, self._until = store, clock, until

    def __getattr__(self, name):
        if self._clock.now() < self._until:
            raise StoreError("the database restarts")
        return getattr(self._store, name)


def test_a_store_that_restarts_is_waited_for(world):
    world.submit()
    back = world.clock.now() + timedelta(minutes=8)
    world.supervisor(store=Outage(world.store, world.clock, back)).run(until_idle=True)
    assert world.run().state is RunState.COMPLETED


def test_a_store_that_stays_away_is_told(world):
    world.submit()
    back = world.clock.now() + timedelta(hours=1)
    with pytest.raises(StoreError, match="restarts"):
        world.supervisor(store=Outage(world.store, world.clock, back)).run(until_idle=True)


def launched_env(world):
    return world.machines.launches[-1].env


def test_the_machine_is_told_when_its_money_is_spent(world):
    """0.40 USD at 0.20 an hour pays for two hours; 5 s of grace come off."""
    world.submit(budget_usd=Decimal("0.40"))
    world.supervisor().tick()
    request = world.machines.launches[-1]
    assert request.stop_after_s == pytest.approx(2 * 3600 - 5)
    assert request.stop_grace_s == 5


def test_without_a_budget_nothing_stops_it(world):
    world.submit()
    world.supervisor().tick()
    assert world.machines.launches[-1].stop_after_s is None


def test_the_program_is_told_the_files_checkpoint_interval(world):
    world.submit(text=job_yaml().replace("every: 1 epochs", "every: 3 epochs"))
    world.supervisor().tick()
    assert launched_env(world)["SPOTWISE_CHECKPOINT_EVERY"] == "3 epochs"


def test_auto_becomes_the_models_best_interval_in_minutes_of_wall_clock(world):
    """At 0.5 preemptions per hour and 20 s a checkpoint, Young's interval is sqrt(2 x 20/3600 x 2) h = 8.9 min."""
    hazard = {offer.pool: 0.5 for offer in world.engine.offers()}
    world.engine = FakeEngine(world.clock, world.machines, hazard_per_hour=hazard)
    world.submit(text=job_yaml().replace("every: 1 epochs", "every: auto"))
    world.supervisor().tick()
    amount, unit = launched_env(world)["SPOTWISE_CHECKPOINT_EVERY"].split()
    assert unit == "minutes"
    assert float(amount) == pytest.approx(8.9, rel=0.1)


@pytest.mark.parametrize("to", ["s3://bucket/models/", "s3://bucket/models"])
def test_runs_that_share_a_place_for_checkpoints_are_kept_apart(world, to):
    world.submit(text=job_yaml().replace("{every: 1 epochs}", f"{{every: 1 epochs, to: '{to}'}}"))
    world.supervisor().tick()
    assert launched_env(world)["SPOTWISE_CHECKPOINT_URL"] == f"s3://bucket/models/{RUN_ID}"


def test_a_program_that_ends_well_with_epochs_missing_is_reported_so(world):
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.2)
    world.progress(record("checkpoint", 0.1, epoch=7))
    world.engine.exit(world.live().id, 0)
    world.pass_time(supervisor, 0.1)
    assert world.run().state is RunState.COMPLETED
    assert "epoch 7 of 10" in world.run().end_reason


class Killed(BaseException):
    """The supervisor is killed here: nothing in it may catch this."""


class KilledAt:
    """A store or an engine whose n-th call is the last thing its supervisor does: before or after it took effect."""

    def __init__(self, inner, counter, names):
        self._inner, self._counter, self._names = inner, counter, names

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if name not in self._names:
            return value

        def call(*args, **kwargs):
            self._counter["n"] += 1
            if self._counter["n"] == self._counter["before"]:
                raise Killed
            result = value(*args, **kwargs)
            if self._counter["n"] == self._counter["after"]:
                raise Killed
            return result

        return call


STEP_S = 360
WRITES = {"save_run", "save_attempt", "note", "lease", "renew", "release", "save_study"}
ACTS = {"launch", "observe", "terminate"}


def story(world, supervise):
    """Place, preempt after half an hour, go on, complete; ``supervise`` lets time pass."""
    world.submit()
    supervise(0.5)
    world.engine.preempt(world.live().id)
    supervise(4)


def end_state(world):
    return (
        world.run().state,
        [(a.id, a.state, a.offer.key) for a in world.attempts()],
        [(c.id, c.amount_usd, c.category) for c in world.store.charges()],
        sorted(request.attempt_id for request in world.machines.launches),
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """How the story ends when nobody is killed."""
    calm = SupervisedWorld(tmp_path_factory.mktemp("calm"))
    supervisor = calm.supervisor()
    story(calm, lambda hours: calm.pass_time(supervisor, hours, STEP_S))
    found = end_state(calm)
    calm.store.close()
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("nth", [*range(1, 16), 20, 30, 50, 80])
def test_killed_at_any_call_and_started_again_it_ends_the_same(world, undisturbed, nth, moment):
    """No second launch of an attempt, no attempt more, no charge more: compared with a run that nobody disturbed."""
    counter = {"n": 0, "before": 0, "after": 0, moment: nth}
    engine = world.engine
    killed = world.supervisor(store=KilledAt(world.store, counter, WRITES), owner="first")
    killed._engine_named = lambda _name: KilledAt(engine, counter, ACTS)
    current = {"supervisor": killed}

    def supervise(hours):
        end = world.clock.now() + timedelta(hours=hours)
        while world.clock.now() < end:
            try:
                current["supervisor"].tick()
            except Killed:
                current["supervisor"] = world.supervisor(owner="first")  # at once: no lease has to expire
                continue
            world.clock.sleep(STEP_S)

    story(world, supervise)
    assert end_state(world) == undisturbed


class _Between:
    """A store for a supervisor that is slow: once it has read which runs are active, something happens first."""

    def __init__(self, store, happens):
        self._store, self._happens = store, happens

    def __getattr__(self, name):
        return getattr(self._store, name)

    def runs(self, *, active=False):
        found = self._store.runs(active=active)
        if active:
            self._happens()
        return found


def test_a_run_that_another_supervisor_ends_meanwhile_is_not_started_anew(world):
    """One supervisor reads that the run is active; before it asks for the lease the other ends the run and frees it."""
    world.submit()
    busy = world.supervisor()
    world.pass_time(busy, 1)
    world.engine.exit(world.live().id)
    world.supervisor(_Between(world.store, busy.tick)).tick()
    assert world.run().state is RunState.COMPLETED
    assert states(world) == [AttemptState.COMPLETED]
    assert len(world.machines.launches) == 1


def test_a_run_that_is_cancelled_while_a_supervisor_takes_it_over_is_not_placed_again(world):
    """What it read of the run is of before the cancellation, on which the other acted and then died."""
    world.submit()
    busy = world.supervisor()
    world.pass_time(busy, 1)

    def cancel_and_vanish():
        if not world.run().cancel_requested:
            world.store.request_cancel(RUN_ID)
            busy.tick()
            world.clock.sleep(60)  # longer than its lease

    world.supervisor(_Between(world.store, cancel_and_vanish)).tick()
    assert world.run().state is RunState.CANCELLED
    assert len(world.machines.launches) == 1
