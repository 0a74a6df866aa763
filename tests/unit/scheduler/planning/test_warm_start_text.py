"""What past studies save, in words, as JSON and in money."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from factories import JOB_YAML, T0, offer
from rich.console import Console

from spotwise.cost_models.estimate import Overheads, Quantiles
from spotwise.cost_models.hazard import HazardBelief
from spotwise.scheduler.cli.plan_view import print_plan, warm_start_line
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import Plan, make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.warm_start import (
    WarmStart,
    saving_json,
    trial_usd,
    usd_per_trial,
    warm_start_of,
    worth_usd,
)
from spotwise.scheduler.planning.warm_start_text import expected_text, prior_texts, realised_text
from spotwise.scheduler.planning.work_estimate import WorkEstimate
from spotwise.scheduler.tuning.savings.expected import Saving
from spotwise.scheduler.tuning.search.portfolio import choose
from spotwise.scheduler.tuning.search.proposer import Proposer
from spotwise.scheduler.tuning.search.related_studies import RelatedStudy
from spotwise.scheduler.tuning.study.study_state import Study
from spotwise.scheduler.tuning.study.sweep_task import SweepTask

SPACE: dict[str, dict[str, Any]] = {"lr": {"type": "float", "low": 0.0, "high": 1.0}}
SWEEP = JOB_YAML + (
    "sweep:\n  metric: acc\n  goal: maximize\n  trials: 20\n  space: {lr: {type: float, low: 0.0, high: 1.0}}\n"
)
SAVING = Saving(5, 4, Quantiles(13.04, 7.5, 17.0))
LOSS = Saving(3, 10, Quantiles(6.0, 1.0, 9.0))


def past(study_id: str = "past-1", **changes: Any) -> StudyRecord:
    trials = tuple(
        TrialRecord(n, {"lr": n / 10}, TrialState.COMPLETED, 1 - abs(n - 3) / 10, cost_usd=Decimal("0.10"))
        for n in range(10)
    )
    made = StudyRecord(study_id, "digits", "acc", "maximize", SPACE, datetime(2026, 1, 1, tzinfo=UTC), trials=trials)
    return replace(made, **changes)


def warm_start(saving: Saving | None = SAVING, studies: int = 5) -> WarmStart:
    related = tuple(RelatedStudy(past(f"past-{n}"), "same metric acc") for n in range(studies))
    return WarmStart(related, (), 20, saving)


def plan(known: WarmStart | None, hours: float | None = 2.0) -> Plan:
    offers = (offer(),)
    market = MarketSnapshot(
        offers, {}, {o.pool: HazardBelief(10, 200, "test") for o in offers}, Overheads(), Decimal(3600),
        CostBasis.ESTIMATED, one_machine=True,
    )  # fmt: skip
    return make_plan(parse_job(SWEEP, source="job"), WorkEstimate(hours, "test", "T4"), market, T0, warm_start=known)


def shown(found: Plan) -> str:
    console = Console(width=80, file=io.StringIO())
    print_plan(found, console)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_a_plan_names_what_the_sweep_will_try_first_though_some_trials_are_dearer() -> None:
    """The best of two studies are as dear as a hundred others: both count that."""
    dear = [replace(t, seconds=100.0 ** t.params["lr"]) for t in past().trials]
    studies = [
        past(f"past-{n}", trials=tuple(replace(t, value=1 - abs(t.number - 8 + n) / 10) for t in dear)) for n in (0, 1)
    ]
    job = parse_job(SWEEP, source="job")
    found = warm_start_of(job, [RelatedStudy(study, "same metric acc") for study in studies])
    assert found is not None
    assert [config.params for config in found.first] == [
        config.params for config in choose(studies, SPACE, 4, by_cost=True)
    ]
    assert [config.params for config in found.first] != [config.params for config in choose(studies, SPACE, 4)]
    task = SweepTask(
        "r", 1, "f", "true", "w", "acc", "maximize", SPACE, parallel=1, trials=20, seed=0, priors=tuple(studies)
    )
    assert Proposer(task).propose(Study()).params == found.first[0].params


def test_a_plan_says_what_past_studies_are_expected_to_save() -> None:
    found = plan(warm_start())
    chosen = found.chosen
    assert chosen is not None
    assert chosen.estimate is not None
    each = found.usd_per_trial
    assert each == usd_per_trial(chosen.estimate.cost_usd.expected, 20)
    usd = worth_usd(SAVING.trials, each)
    assert usd is not None
    text = shown(found)
    assert "expected to save 9 trials (10-90 %: 4 to 13)" in text
    assert f"{usd.expected:.3f} USD ({usd.p10:.3f} to {usd.p90:.3f})" in text
    assert "the first 4 trials are as good as 13 without, by leaving out each of 5 studies in turn" in text
    assert (warm_start_line(found) or "").startswith(
        "learns from past-0, past-1, past-2, past-3, past-4; expected to save"
    )


def test_a_plan_that_knows_no_cost_says_trials_alone() -> None:
    for found in (plan(warm_start(), hours=None), plan(replace(warm_start(), trials=None))):
        assert found.usd_per_trial is None
        assert "(10-90 %: 4 to 13): the first 4" in shown(found)
        assert plan_json(found)["expected_saving"]["saved_usd"] is None


def test_an_expected_loss_is_called_one() -> None:
    text = expected_text(warm_start(LOSS), Decimal("0.10"))
    assert text is not None
    assert text.startswith("expected to cost 4 trials more (10-90 %: 1 to 9), 0.400 USD (0.100 to 0.900):")
    nothing = Saving(3, 4, Quantiles(4.2, 2.0, 6.0))
    assert "expected to save nothing (10-90 %: -2 to 2)" in (expected_text(warm_start(nothing), Decimal(1)) or "")
    assert realised_text(LOSS, None).startswith(
        "estimated to have cost 4 trials more (10-90 %: 1 to 9): the 10 trials from"
    )


def test_too_few_studies_are_said_and_nothing_is_guessed() -> None:
    found = plan(warm_start(None, studies=1))
    assert "too few to tell what they save: 3 with 5 trials each are needed, 1 is there" in shown(found)
    assert plan_json(found)["expected_saving"] is None
    assert expected_text(warm_start(None, studies=0), None) is None
    assert expected_text(None, None) is None


def test_the_keys_of_a_plan_are_stable_and_its_money_is_text() -> None:
    document = json.loads(json.dumps(plan_json(plan(warm_start()))))
    assert document["prior_studies"][0] == {"study": "past-0", "trials": 10, "reason": "same metric acc"}
    saving = document["expected_saving"]
    assert list(saving) == [
        *("studies", "trials_with", "trials_without", "saved_trials", "usd_per_trial", "saved_usd"),
    ]
    assert (saving["studies"], saving["trials_with"]) == (5, 4)
    assert saving["saved_trials"] == {"expected": 9.0, "p10": 3.5, "p90": 13.0}
    each = Decimal(saving["usd_per_trial"])
    assert {name: Decimal(amount) for name, amount in saving["saved_usd"].items()} == {
        "expected": each * Decimal("9.0"),
        "p10": each * Decimal("3.5"),
        "p90": each * Decimal("13.0"),
    }
    assert plan_json(plan(None))["prior_studies"] == []


def test_money_is_never_made_up() -> None:
    assert usd_per_trial(None, 10) is None
    assert usd_per_trial(Decimal(0), 10) is None
    assert usd_per_trial(Decimal("Infinity"), 10) is None
    assert usd_per_trial(Decimal(1), None) is None
    assert usd_per_trial(Decimal(1), 3) == Decimal("0.333333")
    assert worth_usd(SAVING.trials, None) is None
    assert trial_usd(past()) == Decimal("0.100000")
    assert trial_usd(past(cost_usd=Decimal("2.5"))) == Decimal("0.250000")  # with what no trial held
    assert trial_usd(past(trials=tuple(replace(t, cost_usd=None) for t in past().trials))) is None
    assert saving_json(SAVING, None) == {
        **(saving_json(SAVING, Decimal(1)) or {}),
        "usd_per_trial": None,
        "saved_usd": None,
    }


@pytest.mark.parametrize(
    ("priors", "found", "words"),
    [
        ("  priors: none\n", 0, "none are used, as the job file says"),
        ("", 0, "no related study yet: this sweep starts cold"),
        ("", 2, "past-0 (10 trials): same metric acc"),
    ],
)
def test_what_is_used_is_named(priors: str, found: int, words: str) -> None:
    job = parse_job(SWEEP + priors, source="job")
    known = warm_start_of(job, [RelatedStudy(past(f"past-{n}"), "same metric acc") for n in range(found)])
    lines = prior_texts(job, known)
    assert lines[0].startswith(words)
    assert sum(line.startswith("trial ") for line in lines) == (4 if found else 0)
    assert prior_texts(parse_job(JOB_YAML, source="job"), None) == []
