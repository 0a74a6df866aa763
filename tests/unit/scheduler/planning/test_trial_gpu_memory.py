"""Which GPUs a sweep's trials fit on, by what trials of related studies took."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from factories import JOB_YAML, T0, offer

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.gpu_memory import gpu_memory_gib
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Offer, Pool
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import Plan, make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.trial_gpu_memory import too_small, trial_memory
from spotwise.scheduler.planning.work_estimate import WorkEstimate, as_planned

T4 = offer("a", price="0.20")
A10G = offer("a", price="1.00", accelerator="A10G", pool=Pool("aws", "us-east-1", "a", "g5.xlarge"))
A100 = offer("a", price="3.00", accelerator="A100", pool=Pool("aws", "us-east-1", "a", "p4d"))
ANY_GPU = JOB_YAML.replace("T4:1", "{T4: 1, A10G: 1, A100: 1}")


def study(*gib: float | None) -> StudyRecord:
    made = (TrialRecord(n, {}, TrialState.COMPLETED, 0.5, gpu_memory_gib=peak) for n, peak in enumerate(gib))
    return StudyRecord("past", "digits", "acc", "maximize", {}, datetime(2026, 1, 1, tzinfo=UTC), trials=tuple(made))


def planned(gib: float | None, *offers: Offer, text: str = ANY_GPU, one_machine: bool = False) -> Plan:
    known = MarketSnapshot(
        offers=offers,
        available={},
        beliefs={each.pool: HazardBelief(10, 200, "test") for each in offers},
        overheads=Overheads(0.05, 0.05, 0.01),
        hour_s=Decimal(3600),
        cost_basis=CostBasis.ESTIMATED,
        one_machine=one_machine,
    )
    return make_plan(parse_job(text, source="job"), WorkEstimate(None, "test", gpu_memory_gib=gib), known, T0)


def test_what_past_trials_took() -> None:
    found = trial_memory([study(2.0, 4.0, None), study(None), study(*[6.0] * 7, 20.0)])
    assert found is not None
    assert (found.trials, found.studies, found.p50, found.most) == (10, 2, 6.0, 20.0)
    assert found.p90 == pytest.approx(7.4)
    assert found.needed_gib > found.p90
    assert found.text.startswith("from 2 studies: 6.0 GiB of a GPU a trial, 90 % below 7.4, at most 20.0; ")


@pytest.mark.parametrize("peaks", [(), (None,) * 5, (8.0, 8.0), (8.0, 8.0, math.nan), (8.0, 8.0, math.inf)])
def test_too_few_trials_that_said_it_tell_nothing(peaks: tuple[float | None, ...]) -> None:
    assert trial_memory([study(*peaks)]) is None


@pytest.mark.parametrize(("gib", "fits"), [(None, True), (15.0, True), (15.1, False)])
def test_a_t4_has_15_gib(gib: float | None, fits: bool) -> None:
    assert (too_small(T4, gib, 1) is None) is fits


@pytest.mark.parametrize(("gpus", "parallel", "fits"), [(1, 2, False), (2, 2, True), (2, 3, False), (4, 4, True)])
def test_trials_that_share_a_gpu_need_as_much_more(gpus: int, parallel: int, fits: bool) -> None:
    assert (too_small(replace(T4, accelerator_count=gpus), 10.0, parallel) is None) is fits


def test_of_a_gpu_that_nobody_knows_nothing_is_said() -> None:
    assert too_small(replace(T4, accelerator="TPU-V5"), 500.0, 1) is None
    assert too_small(replace(T4, accelerator=None), 500.0, 1) is None
    assert gpu_memory_gib("a100-80gb") == 80.0


def test_gpus_on_which_past_trials_would_fail_are_left_out_with_the_reason() -> None:
    assert planned(None, T4, A10G, A100).chosen.offer == T4
    plan = planned(18.0, T4, A10G, A100)
    assert plan.chosen is not None
    assert plan.chosen.offer == A10G
    left_out = next(option for option in plan.options if option.offer == T4)
    assert left_out.reason == "T4 has 15.0 GiB, and a trial would need 18.0 by related studies"
    assert left_out.estimate is None
    assert plan.notes == ()


def test_where_the_job_allows_no_larger_gpu_it_is_planned_and_warned() -> None:
    plan = planned(30.0, T4, A10G, A100, text=JOB_YAML)
    assert plan.chosen is not None
    assert plan.chosen.offer == T4
    assert not plan.refusals
    assert plan.notes == (
        "some trials may run out of GPU memory, and the job allows no larger GPU: T4 has 15.0 GiB, and a trial "
        "would need 30.0 by related studies",
    )


def test_where_all_offers_are_this_machine_their_names_say_nothing_of_its_memory() -> None:
    plan = planned(18.0, T4, A100, one_machine=True)
    assert plan.chosen is not None
    assert plan.chosen.offer == T4
    assert plan.notes == ()


def test_a_run_keeps_what_its_plan_said() -> None:
    said = json.dumps(plan_json(planned(18.0, T4, A10G)))
    assert as_planned(WorkEstimate(2.0, "measured"), said).gpu_memory_gib == 18.0
