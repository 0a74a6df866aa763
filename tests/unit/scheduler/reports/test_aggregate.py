"""What a report says of a month that is known in every detail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sample_report import AWS_A, BASE, Story, emulated_data, mixed_data, sample_data

from spotwise.scheduler.accounting.ledger import Category
from spotwise.scheduler.accounting.team_month import Money, month_of
from spotwise.scheduler.core.run import Attempt, AttemptState, RunKind, RunState
from spotwise.scheduler.reports import ReportData, Section, build_report
from spotwise.scheduler.reports.report import BudgetLine, BudgetState, Forecast
from spotwise.scheduler.reports.summary import summary


def only_section(data: ReportData) -> Section:
    (section,) = build_report(data).sections
    return section


def budget(section: Section, name: str) -> BudgetLine:
    return next(line for line in section.budgets if line.name == name)


def running(story: Story, *, hours: float, budget_usd: str, predicted: str | None = None) -> ReportData:
    """One run on AWS_A (0.4545 USD an hour) that is ``hours`` old."""
    run = story.run(
        "train-abc123",
        RunKind.TRAINING,
        at=0,
        state=RunState.RUNNING,
        predicted_usd=None if predicted is None else Decimal(predicted),
    )
    attempt = story.attempt(run, 1, AWS_A, start=0, end=None, state=AttemptState.RUNNING, setup=0.1)
    return ReportData(story.at(hours), (run,), (attempt,), team_budgets={"vision": Decimal(budget_usd)})


def booked(story: Story, hours: float, now_hours: float) -> ReportData:
    """One completed run of ``hours`` on AWS_A."""
    run = story.run("train-abc123", RunKind.TRAINING, at=0, ended_at=story.at(hours))
    attempt = story.attempt(run, 1, AWS_A, start=0, end=hours, state=AttemptState.COMPLETED, setup=0.05)
    return ReportData(story.at(now_hours), (run,), (attempt,), story.plain(attempt, 0, 0.05, hours))


def test_spend_is_grouped_by_team_project_and_job() -> None:
    """Dearest first, at every level."""
    teams = only_section(sample_data()).teams
    assert [(t.name, [p.name for p in t.children]) for t in teams] == [
        ("vision", ["shelf-detector", "augmentation"]),
        ("growth", ["churn"]),
    ]
    jobs = teams[0].children[0].children
    assert [job.name for job in jobs] == ["shelf-detector-sweep", "segmenter"]


def test_a_sweep_is_split_into_its_trials_and_the_rest() -> None:
    """Overhead and idle capacity belong to no trial."""
    sweep = only_section(sample_data()).teams[0].children[0].children[0]
    names = {leaf.name for leaf in sweep.children}
    assert names == {*(f"trial {n}" for n in range(16)), "no trial"}
    (rest,) = [leaf for leaf in sweep.children if leaf.name == "no trial"]
    assert rest.spend.booked_usd == rest.spend.usd(Category.OVERHEAD, Category.IDLE)


def test_a_job_with_several_runs_is_split_into_them() -> None:
    """A nightly job's leaves are its runs."""
    nightly = only_section(sample_data()).teams[1].children[0].children[0]
    assert sorted(leaf.name for leaf in nightly.children) == [f"churn-nightly-{n}1x8wd" for n in "abc"]


def test_savings_compare_only_what_is_sold_on_demand() -> None:
    """5 hours in the lab at 0.12 USD are said apart."""
    total = only_section(sample_data()).total
    assert total.not_comparable_usd == Decimal("0.600000")
    assert total.saved_usd == total.on_demand_usd - (total.booked_usd - total.not_comparable_usd)


def test_what_was_not_comparable_has_no_savings_share() -> None:
    """Nothing was saved there, and nothing lost."""
    lab = next(m for m in only_section(sample_data()).markets if m.cloud == "lab")
    assert (lab.spend.saved_share, lab.spend.saved_usd) == (None, 0)


def test_work_kept_is_the_share_of_work_that_preemptions_left() -> None:
    """One hour of work of which a quarter is destroyed: 0.9 - 0.25 kept of 0.9 hours worked."""
    story = Story()
    run = story.run("train-abc123", RunKind.TRAINING, at=0)
    attempt = story.attempt(run, 1, AWS_A, start=0, end=1, state=AttemptState.PREEMPTED, setup=0.1)
    data = ReportData(story.at(2), (run,), (attempt,), story.plain(attempt, 0, 0.1, 1, lost=0.25))
    section = only_section(data)
    assert section.work_kept_share == pytest.approx(0.65 / 0.9, rel=1e-5)
    assert section.preemptions == 1


def test_outcomes_count_every_attempt_once() -> None:
    """Also the one that was refused and cost nothing."""
    section = only_section(sample_data())
    assert {o.state: o.attempts for o in section.outcomes} == {
        AttemptState.RUNNING: 1,
        AttemptState.COMPLETED: 5,
        AttemptState.PREEMPTED: 5,
        AttemptState.FAILED: 1,
        AttemptState.REFUSED: 1,
    }


def test_only_completed_runs_judge_the_predictions() -> None:
    """The night that needed on-demand capacity cost more than predicted; the open run is not judged."""
    section = only_section(sample_data())
    judged = {p.run_id: p.inside for p in section.predictions}
    assert judged["churn-nightly-b1x8wd"] is False
    assert judged["segmenter-z40k1d"] is None
    assert (section.coverage.inside, section.coverage.judged) == (3, 4)


def test_a_promoted_model_carries_the_cost_of_the_versions_that_were_not() -> None:
    """Three retrainings for two promotions."""
    (churn,) = only_section(sample_data()).models
    assert (churn.runs, churn.promoted) == (3, 2)
    assert churn.usd == sum((v.usd for v in churn.versions), Decimal(0))
    assert churn.usd_per_promoted == (churn.usd / 2).quantize(Decimal("0.000001"))


def test_a_study_names_its_best_and_its_dearest_trial() -> None:
    """Trial costs come from the ledger, and with the shared money add up to the run."""
    section = only_section(sample_data())
    (study,) = section.studies
    assert study.best is not None and study.dearest is not None
    assert study.best.number == 9
    assert study.dearest.usd == max(t.usd for t in study.trials)
    run = next(r for r in section.runs if r.run_id == study.run_id)
    assert study.trials_usd + study.shared_usd == run.spend.booked_usd
    assert (study.completed, study.pruned, study.resumes) == (12, 4, 4)


def test_running_attempts_count_towards_the_budget() -> None:
    """2 hours at 0.4545 USD are 0.909 USD of one dollar, and nothing is booked."""
    line = budget(only_section(running(Story(), hours=2, budget_usd="1")), "vision")
    assert (line.booked_usd, line.running_usd, line.state) == (0, Decimal("0.909000"), BudgetState.WITHIN)


def test_a_budget_is_over_when_booked_and_running_exceed_it() -> None:
    """0.909 USD of 0.90."""
    section = only_section(running(Story(), hours=2, budget_usd="0.90"))
    assert budget(section, "vision").state is BudgetState.OVER
    assert any("Team vision is over its budget: $0.9090 of $0.9000" in s for s in summary(section))


def test_a_budget_is_at_risk_when_the_plans_of_open_runs_exceed_it() -> None:
    """0.909 USD so far of 3 predicted, and a budget of 2."""
    line = budget(only_section(running(Story(), hours=2, budget_usd="2", predicted="3")), "vision")
    assert (line.forecast_usd, line.forecast, line.state) == (3, Forecast.RUNS, BudgetState.AT_RISK)


def test_a_run_that_costs_more_than_predicted_is_forecast_at_what_it_costs() -> None:
    """0.909 USD of 0.50 predicted: the forecast is never below what is spent."""
    line = budget(only_section(running(Story(), hours=2, budget_usd="2", predicted="0.5")), "vision")
    assert line.forecast_usd == Decimal("0.909000")


def test_after_a_week_the_months_rate_is_carried_on() -> None:
    """10 hours at 0.4545 USD in the first 10 of 30 days: 4.545 USD become 13.635."""
    story = Story(base=datetime(2026, 11, 1, tzinfo=UTC))
    line = budget(only_section(booked(story, hours=10, now_hours=240)), "vision")
    assert line.forecast is Forecast.LINEAR
    assert line.forecast_usd == Decimal("13.635000")


def test_a_rate_seen_for_less_than_a_week_is_not_carried_on() -> None:
    """Six days say too little."""
    story = Story(base=datetime(2026, 11, 1, tzinfo=UTC))
    line = budget(only_section(booked(story, hours=10, now_hours=24 * 6)), "vision")
    assert (line.forecast, line.forecast_usd) == (Forecast.RUNS, Decimal("4.545000"))


def test_a_months_budget_counts_only_that_month() -> None:
    """A run across the end of October: 2 of its 3 hours are November's."""
    story = Story(base=datetime(2026, 10, 31, 23, tzinfo=UTC))
    section = only_section(booked(story, hours=3, now_hours=4))
    assert budget(section, "vision").booked_usd == Decimal("0.909000")
    assert section.month.booked_usd == Decimal("0.909000")
    assert section.total.booked_usd == Decimal("1.363500")


def test_a_running_attempt_counts_in_the_month_only_from_its_first_moment() -> None:
    """Launched one hour before midnight, two hours ago."""
    story = Story(base=datetime(2026, 10, 31, 23, tzinfo=UTC))
    line = budget(only_section(running(story, hours=2, budget_usd="9")), "vision")
    assert line.running_usd == Decimal("0.454500")


@pytest.mark.parametrize(
    ("moment", "first", "next_first"),
    [
        (
            datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
        ),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_month_runs_from_its_first_moment_to_the_next_ones(
    moment: datetime, first: datetime, next_first: datetime
) -> None:
    assert month_of(moment) == (first, next_first)


def test_the_emulated_market_is_said_first_with_its_hour() -> None:
    """Nobody may take it for money."""
    section = only_section(emulated_data())
    assert section.money is Money.EMULATED
    assert section.notice == "Emulated market: no real money was spent. One billed hour lasts 4 s of wall clock."


def test_real_and_emulated_money_are_never_added_up() -> None:
    """Two sections, each complete; team budgets are real money and stand beside it only."""
    mixed = build_report(mixed_data())
    real, emulated = mixed.sections
    assert (real.money, emulated.money) == (Money.REAL, Money.EMULATED)
    assert real.total == only_section(sample_data()).total
    assert emulated.total.booked_usd == only_section(emulated_data()).total.booked_usd
    assert all(line.budget_usd is None for line in emulated.budgets if line.scope == "team")
    assert all("never added up" in section.notice for section in mixed.sections)


def test_the_same_story_costs_the_same_on_a_scaled_clock() -> None:
    """An emulated hour of four seconds is billed as an hour."""
    assert only_section(emulated_data()).total.booked_usd == only_section(sample_data()).total.booked_usd


def test_no_runs_make_an_empty_report() -> None:
    report = build_report(ReportData(now=BASE))
    assert (report.sections, report.month) == ((), "2026-11")


def test_a_run_that_has_not_been_placed_yet_is_shown() -> None:
    """It has cost nothing, and the notice says so."""
    run = Story().run("train-abc123", RunKind.TRAINING, at=0, state=RunState.WAITING)
    section = only_section(ReportData(now=BASE, runs=(run,)))
    assert [r.run_id for r in section.runs] == ["train-abc123"]
    assert section.notice == "Nothing has been placed yet, so nothing has been spent."


def test_a_waiting_run_stands_with_the_runs_of_its_engine() -> None:
    """Here the other run of its engine is on the emulated market."""
    data = mixed_data()
    moved = tuple(replace(r, engine="local") if r.id.endswith("-emulated") else r for r in data.runs)
    waiting = replace(moved[0], id="train-waits1", engine="local", state=RunState.WAITING)
    real, emulated = build_report(replace(data, runs=(*moved, waiting))).sections
    assert "train-waits1" not in {r.run_id for r in real.runs}
    assert "train-waits1" in {r.run_id for r in emulated.runs}


def test_charges_of_a_run_that_is_missing_are_refused() -> None:
    """Leaving them out would make money disappear."""
    data = sample_data()
    with pytest.raises(ValueError, match="lack the runs shelf-detector-sweep-7k2f9q"):
        build_report(replace(data, runs=data.runs[1:]))


def test_lost_work_of_trials_that_ran_together_is_one_interval_on_the_timeline() -> None:
    """Two trials lost the last 0.35 hours of the first attempt."""
    sweep = only_section(sample_data()).timeline[-1]
    ((start, end),) = sweep.bars[0].lost_h
    assert (start, end) == (pytest.approx(2.75), pytest.approx(3.1))
    assert [bar.number for bar in sweep.bars] == [1, 2, 3, 4]  # the refused one held nothing


def test_the_timeline_is_in_billed_hours_on_any_clock() -> None:
    """Emulated hours are as long as real ones there."""
    real, emulated = (only_section(d).timeline for d in (sample_data(), emulated_data()))
    assert [b.end_h for r in emulated for b in r.bars] == pytest.approx([b.end_h for r in real for b in r.bars])


@pytest.mark.parametrize(
    ("lasts", "step"),
    [
        (timedelta(minutes=5), "10 seconds"),
        (timedelta(hours=2), "minute"),
        (timedelta(hours=40), "hour"),
        (timedelta(days=9), "day"),
    ],
)
def test_the_curve_has_a_step_that_suits_its_range(lasts: timedelta, step: str) -> None:
    """A demo of five minutes is not one point a day."""
    hours = lasts / timedelta(hours=1)
    story = Story(base=datetime(2026, 11, 2, tzinfo=UTC))
    series = only_section(booked(story, hours, now_hours=hours + 1)).over_time
    assert series.step == step
    assert 3 <= len(series.points) <= 200


def test_an_attempt_of_the_future_does_not_break_the_report() -> None:
    """A clock that stepped back: what was launched after now has cost nothing yet."""
    data = running(Story(), hours=-1, budget_usd="1")
    assert only_section(data).total.running_usd == 0


def made_attempts(section: Section) -> list[str]:
    return [bar.attempt_id for row in section.timeline for bar in row.bars]


def test_reports_do_not_depend_on_attempts_being_sorted() -> None:
    data = sample_data()
    shuffled: tuple[Attempt, ...] = data.attempts[::-1]
    assert made_attempts(only_section(replace(data, attempts=shuffled))) == made_attempts(only_section(data))
