"""How much work a run is, by its own speed."""

from __future__ import annotations

import pytest
from factories import at, attempt, offer

from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.core.work_point import TrialPace, WorkPoint
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.observed_speed import (
    ObservedWork,
    learned,
    observed_sweep,
    observed_work,
    report_share,
    seen_on,
)
from spotwise.scheduler.planning.work_estimate import STATED_SIGMA, WorkEstimate, work_of

STATED = WorkEstimate(1.3, "work.hours of the job file", None, STATED_SIGMA)

GONE = attempt(1, state=AttemptState.PREEMPTED, ended_at=at(0.5))


def steady(_offer) -> float:
    return 1.0


def reports(number: int, start: float, hours_each: float, shares: list[float]) -> list[WorkPoint]:
    return [WorkPoint(number, at(start + i * hours_each), share, True) for i, share in enumerate(shares)]


def test_a_few_epochs_correct_a_figure_that_is_wrong_by_three() -> None:
    """Stated 1.3 h, true 4 h: thirty epochs of 8 minutes, of which three are done."""
    points = reports(1, 0.1, 4 / 30, [0, 1 / 30, 2 / 30, 3 / 30])
    found = observed_work([attempt()], points, steady, at(0.5))
    assert found is not None
    assert found.hours == pytest.approx(4.0)
    work = learned(STATED, found)
    assert work.hours == pytest.approx(4.0, rel=0.1)
    assert work.sigma < STATED.sigma / 3
    assert "this run's own speed, by 3 reports" in work.source


def test_what_was_never_stated_is_known_once_it_was_seen() -> None:
    nobody = WorkEstimate(None, "add work.hours to the job file, or run it once")
    work = learned(nobody, ObservedWork(4.0, 0.2, 1))
    assert (work.hours, work.sigma) == (4.0, 0.2)
    assert learned(nobody, None) is nobody


def test_the_more_is_seen_the_less_counts_what_was_stated() -> None:
    hours = [learned(STATED, ObservedWork(4.0, 0.2 / n**0.5, n)).hours or 0.0 for n in (1, 4, 16)]
    assert hours == sorted(hours)
    assert hours[0] > 3.0
    assert hours[-1] == pytest.approx(4.0, rel=0.02)


def test_an_unsteady_speed_is_known_less_well() -> None:
    even = observed_work([attempt()], reports(1, 0, 0.2, [0.0, 0.1, 0.2, 0.3]), steady, at(0.6))
    uneven = [WorkPoint(1, at(hours), share, True) for hours, share in [(0, 0.0), (0.05, 0.1), (0.5, 0.2), (0.6, 0.3)]]
    odd = observed_work([attempt()], uneven, steady, at(0.6))
    assert even is not None
    assert odd is not None
    assert odd.sigma > 2 * even.sigma
    assert odd.hours == pytest.approx(even.hours)


def test_time_between_attempts_and_of_work_done_again_is_not_taken_for_slowness() -> None:
    """The second attempt starts from what was kept, and its machine came hours later."""
    points = reports(1, 0, 0.2, [0.0, 0.1, 0.2]) + reports(2, 5, 0.2, [0.1, 0.2, 0.3])
    found = observed_work([GONE, attempt(2)], points, steady, at(5.4))
    assert found is not None
    assert found.hours == pytest.approx(2.0)


def test_a_checkpoint_counts_into_the_epoch_that_it_follows() -> None:
    points = [WorkPoint(1, at(h), share, False) for h, share in [(0, 0.0), (0.2, 0.1), (0.3, 0.1), (0.5, 0.2)]]
    found = observed_work([attempt()], points, steady, at(0.5))
    assert found is not None
    assert found.hours == pytest.approx(2.5)


def test_hours_on_a_machine_twice_as_fast_count_twice() -> None:
    found = observed_work([attempt()], reports(1, 0, 0.2, [0.0, 0.1, 0.2]), lambda _offer: 2.0, at(0.4))
    assert found is not None
    assert found.hours == pytest.approx(4.0)


def test_a_machine_whose_speed_nobody_measured_says_nothing() -> None:
    fast = attempt(2, offer=offer(accelerator="H100"))
    points = reports(1, 0, 0.2, [0.0, 0.1]) + reports(2, 1, 0.01, [0.1, 0.2])
    known = observed_work([GONE, fast], points, lambda o: 1.0 if o.accelerator == "T4" else None, at(1.01))
    assert known is not None
    assert known.hours == pytest.approx(2.0)


def test_an_overdue_first_report_says_that_the_work_is_more_than_stated() -> None:
    """30 epochs in 1.3 h: the first one should have taken 2.6 minutes, and an hour has passed."""
    points = [WorkPoint(1, at(0), 0.0, False)]
    live = attempt(state=AttemptState.RUNNING)
    work = learned(STATED, observed_work([live], points, steady, at(1), report_share=1 / 30))
    assert work.hours is not None
    assert work.hours > 15
    assert "an overdue report" in work.source
    early = observed_work([live], points, steady, at(0.02), report_share=1 / 30)
    assert learned(STATED, early) is STATED


def test_a_report_that_takes_longer_than_those_before_counts_before_it_is_there() -> None:
    points = reports(1, 0, 0.1, [0.0, 0.1, 0.2])
    late = observed_work([attempt(state=AttemptState.RUNNING)], points, steady, at(1.2))
    assert late is not None
    assert late.hours == pytest.approx((0.2 + 1.0) / 0.3)
    ended = attempt(state=AttemptState.PREEMPTED, ended_at=at(0.3))
    assert observed_work([ended], points, steady, at(1.2)) == observed_work([attempt()], points, steady, at(0.2))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("work: {epochs: 20}", 1 / 20),
        ("work: {steps: 400}\ncheckpoint: {every: 10 steps}", 1 / 40),
        ("work: {steps: 400}", None),
        ("work: {hours: 2}", None),
        ("owner: ana", None),
    ],
)
def test_how_much_is_done_from_one_report_to_the_next(keys: str, expected: float | None) -> None:
    job = parse_job(f"name: x\nrun: python train.py\n{keys}\n", source="job")
    assert report_share(job) == (None if expected is None else pytest.approx(expected))


SWEEP = """\
name: sweep
run: python train.py
work: {epochs: 10, hours: 1}
sweep:
  metric: loss
  goal: minimize
  trials: 8
  space: {x: {type: float, low: 0, high: 1}}
"""


def test_a_sweep_learns_from_its_own_trials_also_from_those_that_were_stopped_early() -> None:
    """Stated an hour a trial; they take three: 10 epochs in 3 h, 2 in 0.6 h, over two machines."""
    job = parse_job(SWEEP, source="job")
    stated = work_of(job, None)
    paces = [TrialPace(10, True, ((1, 10800.0),)), TrialPace(2, False, ((1, 1080.0), (2, 1080.0)))] * 4
    found = observed_sweep(job, paces, [attempt(1), attempt(2)], steady)
    assert found is not None
    assert found.hours == pytest.approx(3 * (stated.hours or 0.0))
    work = learned(stated, found, is_sweep=True)
    assert work.hours == pytest.approx(found.hours, rel=0.1)
    assert 0.4 < work.sigma < stated.sigma  # how many stay promising is still not known


def test_a_sweep_of_which_no_trial_has_ended_says_nothing_of_its_speed() -> None:
    job = parse_job(SWEEP, source="job")
    assert observed_sweep(job, [], [attempt(1)], steady) is None
    assert observed_sweep(job, [TrialPace(10, True, ((1, 60.0),))], [attempt(1)], lambda _offer: None) is None


def test_a_run_that_was_seen_on_another_gpu_counts_its_hours_there():
    stated = WorkEstimate(8.0, "work.hours of the job file", "T4", STATED_SIGMA)
    moved = seen_on(learned(stated, ObservedWork(8.0, 0.05, 9)), ObservedWork(8.0, 0.05, 9), "A100", 4.0)
    assert (moved.hours, moved.reference) == (pytest.approx(2.0, rel=0.01), "A100")


def test_while_it_was_not_seen_the_stated_reference_stays():
    stated = WorkEstimate(8.0, "work.hours of the job file", "T4", STATED_SIGMA)
    assert seen_on(stated, None, "A100", 4.0) is stated
    assert seen_on(stated, ObservedWork(9.0, 0.2, 0), "A100", 4.0) is stated
