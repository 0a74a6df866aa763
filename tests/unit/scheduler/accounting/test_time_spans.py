"""What an attempt's time was worth, read from the progress and study records."""

from __future__ import annotations

from fractions import Fraction

import pytest
from factories import T0, at, attempt, record

from spotwise.scheduler.accounting.ledger import Category, book
from spotwise.scheduler.accounting.time_spans import CapacityShare, epochs_kept, sweep_spans, training_spans
from spotwise.scheduler.core.run import AttemptState

OVERHEAD, PRODUCTIVE, LOST = Category.OVERHEAD, Category.PRODUCTIVE, Category.LOST_WORK
FAILED, IDLE, PRUNED = Category.FAILED, Category.IDLE, Category.PRUNED


def ended(state: AttemptState, hours: float = 4.0, **changes):
    return attempt(state=state, ended_at=at(hours), **changes)


def hours_by_category(spans):
    found: dict[Category, float] = {}
    for span in spans:
        hours = (span.end - span.start).total_seconds() / 3600 * float(span.share)
        found[span.category] = round(found.get(span.category, 0) + hours, 6)
    return found


@pytest.mark.parametrize(
    ("state", "records", "expected"),
    [
        # launched 0, training from 1, checkpoint at 3, done at 4: the work after the last save counts, it is complete
        (AttemptState.COMPLETED, [("started", 1), ("checkpoint", 3)], {OVERHEAD: 1, PRODUCTIVE: 3}),
        # preempted at 4 after a checkpoint at 3: one hour is lost
        (AttemptState.PREEMPTED, [("started", 1), ("checkpoint", 3)], {OVERHEAD: 1, PRODUCTIVE: 2, LOST: 1}),
        # saved on notice at 3.5 and left: nothing is lost, the half hour until the end is overhead
        (
            AttemptState.PREEMPTED,
            [("started", 1), ("checkpoint", 3), ("checkpoint", 3.5), ("stopping", 3.5)],
            {OVERHEAD: 1.5, PRODUCTIVE: 2.5},
        ),
        # preempted before training started: all overhead
        (AttemptState.PREEMPTED, [], {OVERHEAD: 4}),
        # crashed without a checkpoint
        (AttemptState.FAILED, [("started", 1)], {OVERHEAD: 1, FAILED: 3}),
        (AttemptState.FAILED, [("started", 1), ("checkpoint", 2)], {OVERHEAD: 1, PRODUCTIVE: 1, FAILED: 2}),
        (AttemptState.LOST, [("started", 1), ("checkpoint", 2)], {OVERHEAD: 1, PRODUCTIVE: 1, LOST: 2}),
    ],
)
def test_a_training_attempt_is_cut_by_its_records(state, records, expected):
    spans = training_spans(ended(state), [record(*r) for r in records])
    assert hours_by_category(spans) == expected
    book(ended(state), spans)  # covers it exactly


def test_a_program_that_reports_nothing_is_productive_only_if_it_completed():
    done = ended(AttemptState.COMPLETED, started_at=at(0.5))
    cut = ended(AttemptState.PREEMPTED, started_at=at(0.5))
    assert hours_by_category(training_spans(done, [])) == {OVERHEAD: 0.5, PRODUCTIVE: 3.5}
    assert hours_by_category(training_spans(cut, [])) == {OVERHEAD: 0.5, LOST: 3.5}


def test_a_program_that_reported_before_was_still_starting():
    spans = training_spans(ended(AttemptState.PREEMPTED, started_at=at(0.5)), [record("checkpoint", -1, 7)])
    assert hours_by_category(spans) == {OVERHEAD: 4}


def test_a_trial_that_was_cut_off_while_it_started_lost_no_work():
    spans = sweep_spans(ended(AttemptState.PREEMPTED), [hold(0, 1, 4, "")], {})
    assert hours_by_category(spans) == {OVERHEAD: 1 + 1.5, IDLE: 1.5}


def test_records_of_other_attempts_do_not_count():
    spans = training_spans(ended(AttemptState.PREEMPTED), [record("started", 1, 2), record("checkpoint", 3, 2)])
    assert hours_by_category(spans) == {OVERHEAD: 4}


def test_clocks_that_disagree_never_leave_the_interval():
    spans = training_spans(ended(AttemptState.COMPLETED), [record("started", -1), record("checkpoint", 9)])
    assert hours_by_category(spans) == {PRODUCTIVE: 4}
    book(ended(AttemptState.COMPLETED), spans)


def hold(trial: int, start: float, end: float | None, outcome: str = "completed") -> CapacityShare:
    return CapacityShare(trial, at(start), None if end is None else at(end), Fraction(1, 2), outcome)


def trial_records(*records):
    return [record(event, hours) for event, hours in records]


def test_a_sweep_is_split_over_its_trials_and_what_nobody_held_is_idle():
    """Host starts until 1; trial 0 holds half of it 1-3, trial 1 the other half 1-2; then it idles until 4."""
    progress = {0: trial_records(("started", 1), ("finished", 3)), 1: trial_records(("started", 1), ("finished", 2))}
    spans = sweep_spans(ended(AttemptState.COMPLETED), [hold(0, 1, 3), hold(1, 1, 2)], progress)
    assert hours_by_category(spans) == {OVERHEAD: 1, PRODUCTIVE: 1.5, IDLE: 1.5}
    assert {span.trial for span in spans if span.category is PRODUCTIVE} == {0, 1}
    book(ended(AttemptState.COMPLETED), spans)


def test_pruned_failed_and_cut_off_trials_are_told_apart():
    progress = {
        0: trial_records(("started", 0), ("checkpoint", 2)),
        1: trial_records(("started", 0), ("checkpoint", 1)),
        2: trial_records(("started", 2), ("checkpoint", 3)),
    }
    holds = [hold(0, 0, 2, "pruned"), hold(1, 0, 2, "failed"), hold(2, 2, None, "")]
    spans = sweep_spans(ended(AttemptState.PREEMPTED), holds, progress)
    assert hours_by_category(spans) == {PRUNED: 1, PRODUCTIVE: 0.5 + 0.5, FAILED: 0.5, LOST: 0.5, IDLE: 1}
    book(ended(AttemptState.PREEMPTED), spans)


def test_holds_that_overlap_by_a_moment_share_it():
    """A trial's old hold ends after its new one began: three halves of the host are held, and only one is billed."""
    holds = [hold(0, 0, 2), hold(1, 0, 4), hold(2, 1, 4)]
    spans = sweep_spans(ended(AttemptState.COMPLETED), holds, {})
    book(ended(AttemptState.COMPLETED), spans)


def test_a_host_that_was_cut_off_before_its_first_trial_is_overhead():
    assert hours_by_category(sweep_spans(ended(AttemptState.PREEMPTED), [], {})) == {OVERHEAD: 4}


def test_an_attempt_that_runs_has_no_timeline():
    with pytest.raises(ValueError, match="has not ended"):
        training_spans(attempt(), [])


def test_epochs_kept_counts_only_what_is_committed():
    records = [record("progress", 1, epoch=5), record("checkpoint", 1, epoch=4), record("started", 2, epoch=4)]
    assert epochs_kept(records) == 4
    assert epochs_kept([]) == 0
    assert at(0) == T0
