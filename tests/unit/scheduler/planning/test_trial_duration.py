"""How long trials take, by what trials of related studies took."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from factories import attempt, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.throughput import relative_speed
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.core.study import StudyRecord, TrialMachine, TrialRecord, TrialState
from spotwise.scheduler.jobfile.job_spec import JobSpec, parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.trial_duration import (
    disagreement,
    fitting_times,
    past_times,
    related_hours,
    trial_hours,
    unused_times,
)
from spotwise.scheduler.planning.warm_start import WarmStart
from spotwise.scheduler.planning.work_estimate import (
    STATED_SIGMA,
    SWEEP_SIGMA,
    Measured,
    WorkEstimate,
    as_planned,
    work_of,
)
from spotwise.scheduler.tuning.search.related_studies import RelatedStudy

SPACE: dict[str, dict[str, Any]] = {
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}
T4 = (TrialMachine("aws", "g4dn.xlarge", "T4:1"),)
V100 = (TrialMachine("aws", "p3.2xlarge", "V100:1"),)
SWEEP = """\
name: digits
resources: {{accelerators: T4:1}}
run: python train.py
{work}
sweep:
  metric: acc
  goal: maximize
  trials: {trials}
  space:
    width: {{type: int, low: 8, high: 512, log: true}}
    lr: {{type: float, low: 0.0001, high: 1.0, log: true}}
    kind: {{type: categorical, choices: [a, b]}}
"""


def study(
    seconds: list[float] | None = None, *, seed: int = 0, power: float = 0.0, trials: int = 20, **changes: Any
) -> StudyRecord:
    """Trials that take an hour, times (width / 64) to a power; or as long as given."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(trials if seconds is None else len(seconds)):
        width = int(np.exp(rng.uniform(math.log(8), math.log(512))))
        params = {"width": width, "lr": float(10 ** rng.uniform(-4, 0)), "kind": "ab"[number % 2]}
        took = 3600 * (width / 64) ** power * math.exp(rng.normal() * 0.05) if seconds is None else seconds[number]
        made.append(TrialRecord(number, params, TrialState.COMPLETED, float(rng.random()), epoch=10, seconds=took))
    fields: dict[str, Any] = {
        "id": f"past-{seed}",
        "job_name": "digits",
        "metric": "acc",
        "goal": "maximize",
        "space": SPACE,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "trials": tuple(made),
        "machines": T4,
    }
    return StudyRecord(**(fields | changes))


def predicted(*studies: StudyRecord, **terms: Any) -> Any:
    epochs = terms.pop("epochs", None)
    past = [past_times(each, hour_s=3600, epochs=epochs) for each in studies]
    return trial_hours([each for each in past if each is not None], SPACE, **terms)


def test_length_that_follows_a_parameter_is_predicted_by_it() -> None:
    past = [study(power=1.0, seed=seed) for seed in range(3)]
    wide, narrow = (
        predicted(*past, first=[{"width": width, "lr": 0.01, "kind": "a"}] * 4, trials=4) for width in (512, 8)
    )
    assert wide.by_configuration
    assert wide.mean == pytest.approx(8.0, rel=0.3)
    assert narrow.mean == pytest.approx(1 / 8, rel=0.3)


def test_length_that_follows_nothing_is_the_same_everywhere() -> None:
    found = predicted(*[study(seed=seed) for seed in range(3)], first=[{"width": 512}], trials=1)
    assert not found.by_configuration
    assert found.mean == pytest.approx(1.0, rel=0.05)
    assert found.text.startswith("from 3 studies: 1 h a trial (0.9")


def test_too_few_trials_tell_no_dependence() -> None:
    assert not predicted(study(power=1.0, trials=11)).by_configuration
    assert predicted(study(power=1.0, trials=24)).by_configuration


def test_a_slower_study_is_not_taken_for_slower_configurations() -> None:
    """One searched narrow networks on a slow disk: its level is its own, and the slope that of both."""
    slow = study(power=1.0, seed=1, trials=24)
    slow = replace(
        slow,
        trials=tuple(
            replace(t, params=t.params | {"width": max(8, t.params["width"] // 8)}, seconds=t.seconds)
            for t in slow.trials
        ),
    )
    found = predicted(study(power=1.0, seed=0, trials=24), slow)
    assert found.sigma > 0.5


def test_hours_are_those_of_the_reference() -> None:
    speed = relative_speed("V100", "T4")
    assert speed is not None
    on_v100 = predicted(study(machines=V100), reference="T4")
    assert (on_v100.reference, on_v100.mean) == ("T4", pytest.approx(speed.factor, rel=0.05))
    both = predicted(study(machines=T4, trials=30), study(machines=V100, seed=1, trials=5))
    assert (both.reference, both.studies) == ("T4", 2)


def test_a_study_on_machines_of_unknown_speed_is_left_out() -> None:
    odd = study([7200.0] * 5, machines=(TrialMachine("lab", "box", "ABACUS:1"),), seed=1)
    found = predicted(study(trials=30), odd)
    assert (found.studies, found.mean) == (1, pytest.approx(1.0, rel=0.05))
    faulty = study([7200.0] * 5, machines=(TrialMachine("lab", "box", "T4:many"),), seed=1)
    assert predicted(study(trials=30), faulty).studies == 1
    assert predicted(odd, alike=True).mean == pytest.approx(2.0)


def test_a_sweep_that_moved_between_kinds_counts_by_their_mean_speed() -> None:
    speed = relative_speed("V100", "T4")
    assert speed is not None
    found = predicted(study([3600.0] * 5, machines=(*T4, *V100)), reference="T4")
    assert found.mean == pytest.approx(math.sqrt(speed.factor))


def test_longer_trials_count_by_the_epoch() -> None:
    assert predicted(study([3600.0] * 5), epochs=30).mean == pytest.approx(3.0)
    assert predicted(study([3600.0] * 5)).mean == pytest.approx(1.0)


def test_what_was_not_measured_is_not_guessed() -> None:
    """An import has no seconds; a trial that was stopped early or failed was not whole; two are too few."""
    assert predicted(study([0.0] * 20)) is None
    pruned = study([3600.0] * 20)
    assert predicted(replace(pruned, trials=tuple(replace(t, state=TrialState.PRUNED) for t in pruned.trials))) is None
    assert predicted(study([3600.0] * 2)) is None
    assert predicted() is None


def test_one_study_is_less_certain_than_three_that_agree() -> None:
    one, three = predicted(study()), predicted(*[study(seed=seed) for seed in range(3)])
    assert three.sigma < one.sigma


def sweep(work: str = "", trials: str = "8") -> JobSpec:
    return parse_job(SWEEP.format(work=work, trials=trials), source="job.yaml")


def warm_start(*studies: StudyRecord) -> WarmStart:
    return WarmStart(tuple(RelatedStudy(each, "named") for each in studies), (), 8, None)


def market(hour_s: int = 3600, basis: CostBasis = CostBasis.ESTIMATED) -> MarketSnapshot:
    return MarketSnapshot((offer(),), {}, {}, Overheads(), Decimal(hour_s), basis, one_machine=False)


def test_a_sweep_without_hours_is_planned_by_its_related_studies() -> None:
    job = sweep()
    hours = related_hours(job, warm_start(study(), study(seed=1), study(seed=2)), (), market())
    work = work_of(job, None, hours)
    assert work.hours == pytest.approx(8.0, rel=0.05)
    assert work.reference == "T4"
    assert "from 3 studies: 1 h a trial" in work.source
    assert 0 < work.sigma < SWEEP_SIGMA


def test_stated_and_measured_hours_stay_as_they_are() -> None:
    job = sweep("work: {hours: 0.1, reference: V100}")
    hours = related_hours(job, warm_start(study()), (), market())
    assert work_of(job, None, hours) == work_of(job, None)
    assert work_of(job, Measured(1, 3.0, "T4", STATED_SIGMA), hours).hours == 3.0


def test_hours_that_are_far_from_related_ones_are_noted() -> None:
    past = warm_start(study(), study(seed=1))
    note = {
        h: disagreement(job := sweep(f"work: {{hours: {h}, reference: T4}}"), related_hours(job, past, (), market()))
        for h in (0.1, 0.6, 1.9, 5)
    }
    assert note[0.6] == note[1.9] == []
    assert "work.hours says 0.1 h a trial" in note[0.1][0]
    assert "10 times that" in note[0.1][0]
    assert "a 5th of that" in note[5][0]


def test_a_sweep_that_no_number_of_trials_bounds_has_no_work_in_hours() -> None:
    job = parse_job(SWEEP.format(work="budget: 5 USD", trials="1").replace("  trials: 1\n", ""), source="job.yaml")
    work = work_of(job, None, related_hours(job, warm_start(study()), (), market()))
    assert work.hours is None
    assert "1 h a trial" in work.source


def test_times_of_another_pace_do_not_count() -> None:
    """Emulated hours say nothing about real ones, nor about those of a market that runs at another pace."""
    past = [study([20.0] * 5)]
    emulated = {"hour_s": Decimal(20), "cost_basis": CostBasis.EMULATED, "run_id": "past-0"}
    ran = [attempt(1, **emulated)]
    assert fitting_times(past, ran, market(20, CostBasis.EMULATED), None)[0].hours == (1.0,) * 5
    assert fitting_times(past, ran, market(), None) == []
    assert fitting_times(past, ran, market(4, CostBasis.EMULATED), None) == []
    assert len(fitting_times(past, [], market(), None)) == 1
    assert fitting_times([replace(past[0], cost_basis="emulated")], [], market(), None) == []
    assert fitting_times(past, [], market(20, CostBasis.EMULATED), None) == []


def test_trials_that_were_stopped_early_tell_the_length_of_whole_ones_by_the_epoch() -> None:
    """A related study of which asynchronous halving let two trials run to their end."""
    past = study([3600.0] * 2 + [360.0] * 10)
    trials = [replace(t, state=TrialState.PRUNED, epoch=1) if t.number > 1 else t for t in past.trials]
    stopped = replace(past, trials=tuple(trials))
    found = predicted(stopped, epochs=10)
    assert found.mean == pytest.approx(1.0)
    assert found.trials == 12
    assert past_times(stopped, hour_s=3600, epochs=None) is None


@pytest.mark.parametrize(
    ("past", "why"),
    [
        (
            study([3600.0] * 2),
            "has times of fewer than 3 whole trials, or those stopped early where work.epochs is stated",
        ),
        (study(cost_basis="emulated"), "ran at another pace"),
        (
            study(machines=(*T4, TrialMachine("x", "y", "Unheard-of:1"))),
            "ran on machines whose speeds nobody has compared",
        ),
    ],
)
def test_a_related_study_whose_times_are_not_used_is_named_with_the_reason(past: StudyRecord, why: str) -> None:
    job, found = sweep(""), warm_start(past)
    assert related_hours(job, found, (), market()) is None
    work = work_of(job, None, None, unused=unused_times(job, found, (), market()))
    assert work.hours is None
    assert f"past-0 {why}" in work.source


def test_without_related_studies_there_is_no_reason_to_give() -> None:
    assert unused_times(sweep(""), warm_start(), (), market()) == ""


def test_a_run_keeps_the_work_that_it_was_planned_with() -> None:
    said = '{"work_hours": 8.5, "work_source": "from 3 studies", "work_reference": "T4", "work_sigma": 0.6}'
    unknown, stated = WorkEstimate(None, "nobody knows"), WorkEstimate(2.0, "work.hours of the job file")
    work = as_planned(unknown, said)
    assert (work.hours, work.reference, work.sigma) == (8.5, "T4", 0.6)
    assert as_planned(stated, said) == stated
    assert as_planned(unknown, "{}") == unknown
    assert as_planned(unknown, '{"work_hours": 8.5}') == unknown
    assert as_planned(stated, '{"work_gpu_memory_gib": 9.5}') == replace(stated, gpu_memory_gib=9.5)
