"""What past studies saved sweeps that have ended."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sample_report import sample_data

from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.reports import ReportData, build_report, render_html, report_json
from spotwise.scheduler.reports.files import render_text
from spotwise.scheduler.tuning.savings.realised import realised_saving

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "width": {"type": "int", "low": 32, "high": 512},
}


def past(number: int) -> StudyRecord:
    """Better where the sample's sweep is: at small widths."""
    trials = tuple(
        TrialRecord(
            n, {"lr": 10 ** (-1 - n / 5), "width": 32 + 23 * ((n * 7) % 20)}, TrialState.COMPLETED, -((n * 7) % 20)
        )
        for n in range(20)
    )
    return StudyRecord(
        f"past-{number}", "x", "loss", "maximize", SPACE, datetime(2026, 1, 1, tzinfo=UTC), trials=trials
    )


def data(**changes: Any) -> ReportData:
    """The sample's month; its sweep has learned from three past studies."""
    made = sample_data()
    (study,) = made.studies
    study = replace(study, space=SPACE, priors=("past-0", "past-1", "forgotten"), **changes)
    return replace(made, studies=(study,), past=(past(0), past(1)))


def test_a_report_says_what_past_studies_saved_a_sweep() -> None:
    made = data()
    (section,) = build_report(made).sections
    (row,) = section.past_savings
    saving = realised_saving(made.studies[0], made.past)
    assert saving is not None
    assert (row.studies, row.trials_with, row.saved_trials) == (2, saving.with_past, saving.trials)
    booked = sum((c.amount_usd for c in made.charges if c.run_id == row.run_id), Decimal(0))
    assert row.usd_per_trial == (booked / len(made.studies[0].trials)).quantize(Decimal("0.000001"))
    assert row.saved_usd is not None
    trials = Decimal(repr(saving.trials.expected)).quantize(Decimal("0.1"))
    assert row.saved_usd.expected == (row.usd_per_trial * trials).quantize(Decimal("0.000001"))


def test_text_and_page_show_it_and_say_that_it_is_estimated() -> None:
    report = build_report(data())
    text = render_text(report)
    assert "WHAT PAST STUDIES SAVED, IN TRIALS (ESTIMATED)" in text
    assert "Past studies are estimated to have" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "What past studies saved, in trials (estimated)" in render_html(report)


def test_the_json_has_money_as_text() -> None:
    (section,) = json.loads(json.dumps(report_json(build_report(data()))))["sections"]
    (row,) = section["past_savings"]
    assert list(row) == [
        *("run_id", "studies", "trials_with", "trials_without", "saved_trials"),
        *("usd_per_trial", "saved_usd", "planned_trials"),
    ]
    assert all(isinstance(amount, str) for amount in (row["usd_per_trial"], *row["saved_usd"].values()))


def test_what_the_plan_expected_stands_beside_it() -> None:
    made = data()
    said = json.dumps({"expected_saving": {"saved_trials": {"expected": 6.5, "p10": 1.0, "p90": 9.0}}})
    runs = tuple(replace(run, plan_json=said) for run in made.runs)
    (section,) = build_report(replace(made, runs=runs)).sections
    assert section.past_savings[0].planned_trials == 6.5
    assert build_report(made).sections[0].past_savings[0].planned_trials is None


def test_without_charges_there_are_trials_and_no_money() -> None:
    made = data()
    free = replace(made, charges=tuple(c for c in made.charges if c.run_id != made.studies[0].id))
    (row,) = build_report(free).sections[0].past_savings
    assert (row.usd_per_trial, row.saved_usd) == (None, None)
    assert row.saved_trials == build_report(made).sections[0].past_savings[0].saved_trials


def test_a_sweep_that_goes_on_or_learned_from_nothing_has_no_line() -> None:
    made = data()
    going = tuple(replace(r, state=RunState.RUNNING) if r.id == made.studies[0].id else r for r in made.runs)
    cold = replace(made.studies[0], priors=())
    for other in (replace(made, runs=going), replace(made, studies=(cold,)), replace(made, past=())):
        (section,) = build_report(other).sections
        assert section.past_savings == ()
        assert "PAST STUDIES" not in render_text(build_report(other))
