"""How much work a job is: the arithmetic beside each case."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from factories import JOB_YAML, T0, at, attempt, offer, run

from spotwise.cost_models.estimate import Overheads
from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.core.run import AttemptState, CostBasis, RunKind, RunState
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.work_estimate import (
    MEASURED_SIGMA,
    MeasuredRuns,
    epochs_share,
    measure,
    overhead_hours,
    sweep_hours,
    work_of,
)

SWEEP = """\
name: sweep
run: python train.py
work: {epochs: 9, hours: 2}
sweep:
  metric: loss
  goal: minimize
  trials: 9
  parallel: 3
  space: {x: {type: float, low: 0, high: 1}}
"""
ASHA = "  early_stopping: {type: asha, grace_epochs: 1, reduction_factor: 3}\n"


def completed(run_id, hours, overhead=0.5, text=JOB_YAML, nodes=1, **changes):
    """A completed run of one attempt: overhead, then work."""
    ended = attempt(
        1,
        id=f"{run_id}-a1",
        run_id=run_id,
        state=AttemptState.COMPLETED,
        ended_at=at(overhead + hours),
        nodes=nodes,
        **changes,
    )
    spans = [
        Span(T0, at(overhead), Category.OVERHEAD),
        Span(at(overhead), at(overhead + hours), Category.PRODUCTIVE),
    ]
    return run(run_id, state=RunState.COMPLETED, job_yaml=text), ended, book(ended, spans)


MARKET = MarketSnapshot((), {}, {}, Overheads(), Decimal(3600), CostBasis.ESTIMATED, one_machine=True)


def seen(*stories, market=MARKET):
    runs, attempts, charges = zip(*stories, strict=True)
    return MeasuredRuns.under(market, runs, attempts, [charge for each in charges for charge in each])


def test_a_stated_figure_is_used_and_known_to_be_rough():
    work = work_of(parse_job(JOB_YAML, source="job"), None)
    assert work.hours == 2
    assert work.sigma > MEASURED_SIGMA


def test_without_a_figure_nothing_is_guessed():
    work = work_of(parse_job("name: x\nrun: python train.py\n", source="job"), None)
    assert work.hours is None
    assert "work.hours" in work.source


def test_measured_runs_of_the_same_file_beat_the_stated_figure():
    measured = measure(JOB_YAML, seen(completed("one", 3), completed("two", 5)))
    work = work_of(parse_job(JOB_YAML, source="job"), measured)
    assert work.hours == pytest.approx(4)
    assert work.reference == "T4"
    assert "2 earlier runs" in work.source


@pytest.mark.parametrize("changed", ["name: digits\nrun: other\n", ""], ids=["another file", "nothing"])
def test_runs_of_another_file_say_nothing(changed):
    assert measure(JOB_YAML, seen(completed("one", 3, text=changed))) is None


def test_runs_that_did_not_complete_say_nothing():
    done, ended, charges = completed("one", 3)
    assert measure(JOB_YAML, seen((replace(done, state=RunState.CANCELLED), ended, charges))) is None


def test_hours_are_a_machines_not_all_its_nodes():
    """8 nodes for 3 h are 24 node-hours, and 3 hours of work."""
    found = seen(completed("one", 3, overhead=0.5, nodes=8))
    assert measure(JOB_YAML, found).work_hours == pytest.approx(3)
    assert overhead_hours(RunKind.TRAINING, found) == pytest.approx(0.5)


def test_an_emulated_hour_says_nothing_about_a_real_one():
    emulated = completed("one", 3, hour_s=Decimal(10), cost_basis=CostBasis.EMULATED)
    assert measure(JOB_YAML, seen(emulated)) is None


def test_hours_on_different_gpus_are_not_averaged():
    """The newest ran on an A100: the T4's hours do not count."""
    a100 = offer(accelerator="A100")
    measured = measure(JOB_YAML, seen(completed("one", 3), completed("two", 1, offer=a100)))
    assert (measured.runs, measured.work_hours, measured.accelerator) == (1, pytest.approx(1), "A100")


def test_overhead_is_measured_per_attempt_of_the_same_kind_of_run():
    found = seen(completed("one", 3, overhead=0.5))
    assert overhead_hours(RunKind.TRAINING, found) == pytest.approx(0.5)
    assert overhead_hours(RunKind.SWEEP, found) is None


def test_a_sweep_without_early_stopping_runs_every_epoch():
    """9 trials / 3 places = 3 rounds, and a tail of (1 - 1/3) / 2 = 1/3 round; x 2 h."""
    sweep = parse_job(SWEEP, source="job").sweep
    assert epochs_share(sweep, 9) == 1.0
    assert sweep_hours(sweep, 2.0, 9)[0] == pytest.approx((3 + 1 / 3) * 2)


def test_early_stopping_by_the_recursion():
    """9 trials, eta 3, rungs at 1 and 3 of 9 epochs.

    Rung 1: 2 + (1/3 + 1/4 + 1/5 + 2/6 + 2/7 + 2/8 + 3/9) = 3.986 go on. At rung 3, of these
    3.986: 2 + 1/3 + 0.986 x 1/4 = 2.580.
    Epochs: 9 x 1 + 3.986 x 2 + 2.580 x 6 = 32.45 of 81.
    """
    sweep = parse_job(SWEEP + ASHA, source="job").sweep
    assert epochs_share(sweep, 9) == pytest.approx(32.45 / 81, abs=2e-4)


def test_a_sweep_lasts_at_least_as_long_as_its_best_trial():
    sweep = parse_job(SWEEP.replace("trials: 9", "trials: 1") + ASHA, source="job").sweep
    assert sweep_hours(sweep, 2.0, 9)[0] >= 2.0


def test_a_sweep_bounded_by_money_alone_is_not_guessed():
    text = SWEEP.replace("  trials: 9\n", "") + "budget: 5 USD\n"
    assert work_of(parse_job(text, source="job"), None).hours is None


def test_runs_of_the_file_on_another_gpu_are_this_jobs_own_speed_there():
    on_v100 = completed("v", 2.0, offer=offer("a", accelerator="V100"))
    on_t4 = completed("t", 6.0, offer=offer("a", accelerator="T4"))
    work = work_of(parse_job(JOB_YAML, source="job"), measure(JOB_YAML, seen(on_v100, on_t4)))
    assert (work.hours, work.reference) == (pytest.approx(6.0), "T4")
    assert [(own.accelerator, own.factor) for own in work.own_speeds] == [("V100", pytest.approx(3.0))]
    market = replace(MARKET, one_machine=False)
    there = work.speed(market, offer("b", accelerator="V100"))
    assert there.factor == pytest.approx(3.0, rel=0.1)


def test_the_family_that_a_job_file_names_sets_its_speeds_elsewhere():
    market, b200 = replace(MARKET, one_machine=False), offer("b", accelerator="B200")
    speeds = {}
    for family in ("vision", "speech"):
        job = parse_job(f"name: x\nrun: x\nwork: {{hours: 2, reference: V100, family: {family}}}\n", source="job")
        speeds[family] = work_of(job, None).speed(market, b200)
    assert speeds["speech"].factor > 1.5 * speeds["vision"].factor
