"""What a run's own attempts show of its start-up and its checkpoints."""

from __future__ import annotations

from decimal import Decimal

import pytest
from factories import at, attempt, offer

from spotwise.cost_models.offer import Market
from spotwise.scheduler.core.kept_work import KeptWork
from spotwise.scheduler.core.run import Attempt, AttemptState
from spotwise.scheduler.core.work_point import WorkPoint
from spotwise.scheduler.planning.run_evidence import evidence_of, lost_in_vain
from spotwise.scheduler.planning.start_estimate import Observed, expected_hours

PREEMPTED, LOST, REFUSED = AttemptState.PREEMPTED, AttemptState.LOST, AttemptState.REFUSED


def ended(number: int, start: float, end: float, state: AttemptState = PREEMPTED, kept: int = 0, **changes) -> Attempt:
    return attempt(number, launched_at=at(start), ended_at=at(end), state=state, epochs_kept=kept, **changes)


@pytest.mark.parametrize(
    ("seen", "assumed", "expected"),
    [
        ([], 0.5, 0.5),
        ([Observed(1.0, True), Observed(2.0, True)], 0.5, 1.5),
        ([Observed(1.0, False)], 0.5, 2.0),  # it took at least an hour, and as likely as not two
        ([Observed(0.1, False)], 0.5, 0.5),  # says nothing against what is assumed
        ([Observed(1.0, True), Observed(3.0, False)], 0.5, 2.0),
        ([Observed(1.0, True), Observed(0.2, False)], 0.5, 1.0),  # a short cut does not make starts look short
    ],
)
def test_a_start_that_was_cut_off_took_at_least_so_long(seen, assumed: float, expected: float) -> None:
    assert expected_hours(seen, assumed) == pytest.approx(expected)


def test_a_start_lasts_until_the_first_report_in_billed_hours() -> None:
    one = ended(1, 0, 2, hour_s=Decimal(1800))
    seen = evidence_of([one], [WorkPoint(1, at(0.5), 0.0, False)], KeptWork(0), at(3))
    assert seen.starts == (Observed(1.0, True),)


def test_a_start_of_a_program_that_never_reports_lasts_until_the_program_is_started() -> None:
    whole, cut = ended(1, 0, 2, started_at=at(0.25)), ended(2, 2, 3)
    assert evidence_of([whole, cut], [], KeptWork(0), at(4)).starts == (Observed(0.25, True), Observed(1.0, False))


def test_a_refusal_is_no_start() -> None:
    assert evidence_of([ended(1, 0, 0, REFUSED)], [], KeptWork(0), at(1)).starts == ()


def test_a_start_that_was_given_up_took_at_least_until_then() -> None:
    """For the books it never was: it ends when it began."""
    one, another = ended(1, 0, 0, REFUSED, migrating=True), ended(2, 1, 1, REFUSED)
    seen = evidence_of([one, another], [], KeptWork(0), at(2), {one.id: at(0.75)})
    assert seen.starts == (Observed(0.75, False),)


def test_only_spot_machines_lost_since_something_was_last_kept_are_lost_in_vain() -> None:
    on_demand = offer(market=Market.ON_DEMAND)
    attempts = [
        ended(1, 0, 1),
        ended(2, 1, 2, kept=3),
        ended(3, 2, 3, LOST, kept=3),
        ended(4, 3, 3, REFUSED, kept=3),
        ended(5, 3, 4, AttemptState.FAILED, kept=3),
        ended(6, 4, 5, LOST, kept=3, offer=on_demand),
        ended(7, 5, 6, AttemptState.MIGRATED, kept=3),
        ended(8, 6, 8, PREEMPTED, kept=3),
    ]
    assert [each.number for each in lost_in_vain(attempts, [])] == [3, 8]
    found = evidence_of(attempts, [], KeptWork(3), at(9))
    assert (found.fruitless, found.fruitless_hours, found.checkpoint_seen) == (2, 2.0, True)
    assert evidence_of(attempts, [], KeptWork(4), at(9)).fruitless == 0  # a live attempt has kept more


def test_work_that_was_cut_off_before_it_was_kept_shows_how_long_a_save_takes_at_least() -> None:
    points = [WorkPoint(1, at(0.5), 0.0, False), WorkPoint(2, at(2.5), 0.0, False)]
    found = evidence_of([ended(1, 0, 2), ended(2, 2, 3)], points, KeptWork(0), at(4))
    assert found.save_hours == pytest.approx(3.0)  # twice the longer of 1.5 h and 0.5 h


def test_all_work_is_at_risk_until_a_checkpoint_was_seen() -> None:
    live = attempt(1, launched_at=at(0))
    points = [WorkPoint(1, at(0.5), 0.0, False)]
    assert evidence_of([live], points, KeptWork(0), at(3)).at_risk_hours == pytest.approx(2.5)
    assert evidence_of([live], [*points, WorkPoint(1, at(1), 0.1, True)], KeptWork(1), at(3)).at_risk_hours == 0.0


def test_steps_within_an_epoch_are_kept_work_as_well() -> None:
    """One epoch of 400 steps: no epoch is ever kept before the end, and each machine gets further."""
    points = [WorkPoint(n, at(n - 0.5), None, True, (0, 60 * n)) for n in (1, 2, 3)]
    attempts = [ended(n, n - 1, n) for n in (1, 2, 3)]
    assert lost_in_vain(attempts, points) == []
    again = [*points, WorkPoint(4, at(3.5), None, True, (0, 180))]  # an older checkpoint, reached once more
    assert [each.number for each in lost_in_vain([*attempts, ended(4, 3, 4)], again)] == [4]
