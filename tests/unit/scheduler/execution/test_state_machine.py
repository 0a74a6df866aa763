"""What an observation makes of an attempt, and an ended attempt of its run: tables with the reason beside each row."""

from __future__ import annotations

from decimal import Decimal

import pytest
from factories import T0, at, attempt, offer, run

from spotwise.checkpoints import EXIT_PREEMPTED
from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.engines.base import Observation, Phase
from spotwise.scheduler.execution.state_machine import after, crashes_without_progress, nowhere, observed
from spotwise.scheduler.node_agent.end_cause import EndCause

COMPLETED, FAILED, PREEMPTED = AttemptState.COMPLETED, AttemptState.FAILED, AttemptState.PREEMPTED
LOST, REFUSED, CANCELLED, MIGRATED = (
    AttemptState.LOST,
    AttemptState.REFUSED,
    AttemptState.CANCELLED,
    AttemptState.MIGRATED,
)


@pytest.mark.parametrize(
    ("cause", "code", "migrating", "state"),
    [
        (EndCause.EXITED, 0, False, COMPLETED),
        (EndCause.EXITED, 1, False, FAILED),
        (EndCause.EXITED, 137, False, FAILED),  # killed by someone: a crash
        (EndCause.EXITED, EXIT_PREEMPTED, False, LOST),  # saved and left, and nobody here asked it to
        (EndCause.PREEMPTED, EXIT_PREEMPTED, False, PREEMPTED),
        (EndCause.PREEMPTED, 137, False, PREEMPTED),  # ignored the notice and was killed
        (EndCause.TERMINATED, EXIT_PREEMPTED, False, CANCELLED),
        (EndCause.TERMINATED, EXIT_PREEMPTED, True, MIGRATED),
        (EndCause.VANISHED, None, False, LOST),
        (EndCause.NO_CAPACITY, None, False, REFUSED),
        (EndCause.WITHDRAWN, None, False, REFUSED),
        (EndCause.NOT_OFFERED, None, False, REFUSED),
        (EndCause.SETUP_FAILED, 1, False, FAILED),
    ],
)
def test_how_an_attempt_ended(cause, code, migrating, state):
    seen = Observation(Phase.ENDED, T0, at(0.1), None, at(1), cause, code)
    ended = observed(attempt(migrating=migrating), seen, at(5))
    assert ended.state is state
    assert ended.end_cause is cause
    assert ended.end_reason
    assert ended.exit_code == code


def test_the_machines_own_times_win_over_the_supervisors():
    seen = Observation(Phase.ENDED, at(0.2), at(0.3), None, at(1), EndCause.EXITED, 0)
    ended = observed(attempt(), seen, at(50))
    assert (ended.launched_at, ended.started_at, ended.ended_at) == (at(0.2), at(0.3), at(1))


def test_an_attempt_is_paid_at_the_price_of_the_zone_where_its_machines_came_up():
    listed = attempt(offer=offer(zone="", price="0.20"))
    seen = Observation(Phase.RUNNING, T0, at(0.1), zone="us-east-1b", price_usd_per_hour=Decimal("0.72"))
    landed = observed(listed, seen, at(1))
    assert (landed.offer.price_usd_per_hour, landed.landed_zone) == (Decimal("0.72"), "us-east-1b")
    assert landed.offer.pool == listed.offer.pool, "what is learned of the pool stays with it"
    assert landed.offer.source == "price in us-east-1b, found when it was up"
    assert landed.billed.pool.zone == "us-east-1b"
    assert observed(landed, Observation(Phase.RUNNING, T0, at(0.1)), at(2)) == landed, "once known it stays known"


def test_on_demand_what_is_paid_is_the_price_on_demand():
    listed = attempt(offer=offer(zone="", market=Market.ON_DEMAND, price="0.50"))
    seen = Observation(Phase.RUNNING, T0, at(0.1), zone="z", price_usd_per_hour=Decimal("0.60"))
    assert observed(listed, seen, at(1)).offer.on_demand_usd_per_hour == Decimal("0.60")


def test_a_place_that_refuses_the_task_is_no_end_of_the_run_and_its_answer_is_told_where_no_other_is_left():
    refused = attempt(state=REFUSED, end_cause=EndCause.NOT_OFFERED, end_reason="no such image")
    assert after(run(), [refused], crash_limit=1).state is None
    assert nowhere("no offer fits", [refused]).reason == (
        f"no placement is possible: no offer fits; {refused.offer.key} answered: no such image"
    )
    assert nowhere("no offer fits", []).reason == "no placement is possible: no offer fits"


def test_times_are_kept_in_order_when_clocks_disagree():
    seen = Observation(Phase.ENDED, at(2), at(1), None, at(0.5), EndCause.EXITED, 0)
    ended = observed(attempt(), seen, at(3))
    assert ended.launched_at <= ended.started_at <= ended.ended_at


def test_what_never_came_up_has_no_interval():
    ended = observed(attempt(), Observation(Phase.ENDED, ended_at=at(1), cause=EndCause.NO_CAPACITY), at(1))
    assert ended.ended_at == ended.launched_at


@pytest.mark.parametrize("cause", [EndCause.LAUNCH_FAILED, EndCause.UNLAUNCHABLE])
def test_a_launch_that_failed_before_there_was_a_machine_has_no_interval(cause):
    """Its end is later than its placement; nothing was billed in between."""
    failed = observed(attempt(), Observation(Phase.ENDED, ended_at=at(0.1), cause=cause, message="why"), at(1))
    assert (failed.state, failed.ended_at) == (FAILED, failed.launched_at)
    was_up = observed(attempt(), Observation(Phase.ENDED, T0, ended_at=at(0.1), cause=cause), at(1))
    assert was_up.ended_at == at(0.1)


def test_what_can_never_be_launched_is_not_tried_again():
    seen = Observation(Phase.ENDED, ended_at=at(0.1), cause=EndCause.UNLAUNCHABLE, message="no such key")
    verdict = after(run(), [observed(attempt(), seen, at(1))], crash_limit=3)
    assert verdict.state is RunState.FAILED
    assert verdict.reason == "it cannot be launched: no such key; trying again would not help"


def test_an_unknown_phase_changes_nothing():
    assert observed(attempt(), Observation(Phase.UNKNOWN), at(1)) == attempt()


def ended_attempts(*states_and_epochs):
    return [
        attempt(n, state=state, ended_at=at(n), epochs_kept=kept, exit_code=code, end_reason="it ended")
        for n, (state, kept, code) in enumerate(states_and_epochs, start=1)
    ]


CRASH = (FAILED, 0, 1)


@pytest.mark.parametrize(
    ("attempts", "crashes"),
    [
        ([CRASH], 1),
        ([CRASH, CRASH], 2),
        ([CRASH, (REFUSED, 0, None), CRASH], 2),  # a refusal in between changes nothing
        ([(PREEMPTED, 3, 75), (FAILED, 3, 1)], 1),
        ([CRASH, (FAILED, 2, 1)], 1),  # two epochs further: the count starts again
        ([CRASH, (PREEMPTED, 0, 75), CRASH], 1),  # only crashes in a row count
        ([(FAILED, 2, 1), (FAILED, 2, 1), (FAILED, 2, 1)], 3),  # the first made progress, then none
        ([(PREEMPTED, 0, 75)], 0),
        ([CRASH, (LOST, 0, None), CRASH], 3),  # a program that takes its machine down with it
        ([(LOST, 0, 75), (LOST, 0, 75), (LOST, 0, 75)], 3),  # a program that always says "try later"
    ],
)
def test_crashes_without_progress(attempts, crashes):
    assert crashes_without_progress(ended_attempts(*attempts)) == crashes


@pytest.mark.parametrize(
    ("attempts", "changes", "state"),
    [
        ([(COMPLETED, 10, 0)], {}, RunState.COMPLETED),
        ([(COMPLETED, 10, 0)], {"cancel_requested": True}, RunState.COMPLETED),  # it was done before it was ended
        ([(CANCELLED, 1, 75)], {"cancel_requested": True}, RunState.CANCELLED),
        ([(CANCELLED, 1, 75)], {"budget_spent": True, "budget_usd": Decimal(9)}, RunState.STOPPED),
        ([(PREEMPTED, 1, 75)], {"budget_spent": True, "budget_usd": Decimal(9)}, RunState.STOPPED),
        ([(PREEMPTED, 1, 75)], {}, None),
        ([(LOST, 1, None)], {}, None),
        ([(LOST, 0, 75), (LOST, 0, 75), (LOST, 0, 75)], {}, RunState.FAILED),
        ([(MIGRATED, 1, 75)], {}, None),
        ([(REFUSED, 0, None)], {}, None),
        ([CRASH], {}, None),
        ([CRASH, CRASH], {}, None),
        ([CRASH, CRASH, CRASH], {}, RunState.FAILED),
        ([(FAILED, 0, 127)], {}, RunState.FAILED),  # no such command: trying again changes nothing
    ],
)
def test_what_becomes_of_the_run(attempts, changes, state):
    verdict = after(run(**changes), ended_attempts(*attempts), crash_limit=3)
    assert verdict.state is state
    assert verdict.reason


def test_a_failed_setup_is_not_repeated():
    failed = attempt(state=FAILED, ended_at=at(1), exit_code=1, end_cause=EndCause.SETUP_FAILED)
    assert after(run(), [failed], crash_limit=3).state is RunState.FAILED


def test_a_sentence_that_reads_like_a_failed_setup_decides_nothing():
    crashed = attempt(state=FAILED, ended_at=at(1), exit_code=1, end_cause=EndCause.EXITED, end_reason="setup failed")
    assert after(run(), [crashed], crash_limit=3).state is None
