"""What a sweep that sets trials aside does next, from its study."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.stopping.freeze_thaw_trials import FreezeThawTrials
from spotwise.scheduler.tuning.study.proposal import Proposal, Thaw
from spotwise.scheduler.tuning.study.study_state import Study, TrialHold, TrialPhase, TrialView
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule, SweepTask

MakeTask = Callable[..., SweepTask]
SPACE: dict[str, Any] = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
RULE = StoppingRule(grace_epochs=1, reduction_factor=2, freezes=True)


def trial(number: int, values: list[float | None], phase: TrialPhase = TrialPhase.FROZEN) -> TrialView:
    reports = dict(enumerate(values, start=1))
    return TrialView(number, {"x": number / 20}, "sampler", "", phase=phase, epoch=len(values), reports=reports)


def study(*trials: TrialView) -> Study:
    return Study({each.number: each for each in trials})


def thawing(make_task: MakeTask, **changes: Any) -> FreezeThawTrials:
    fields = {"space": SPACE, "epochs": 8, "early_stopping": RULE, "trials": 20, "goal": "maximize"}
    return FreezeThawTrials(make_task(**(fields | changes)))


def test_trials_are_due_at_their_first_report_from_each_rung_on(make_task: MakeTask) -> None:
    chooser = thawing(make_task)
    due = [chooser.is_due(trial(0, [0.1] * epochs)) for epochs in range(9)]
    assert due == [False, True, True, False, True, False, False, False, False]
    every_third = TrialView(0, {}, "", "", epoch=6, reports={3: 0.1, 6: 0.2})
    assert chooser.is_due(every_third)


@pytest.mark.parametrize(("goal", "expected"), [("maximize", 7), ("minimize", 0)])
def test_the_best_of_those_set_aside_goes_on(make_task: MakeTask, goal: str, expected: int) -> None:
    """A shared trend over x and a lead of its own: far ahead of all others."""
    trials = [trial(n, [0.1 * n + (0.5 if n == 7 else 0.0) - (0.5 if n == 0 else 0.0)]) for n in range(8)]
    choice = thawing(make_task, goal=goal).choose(study(*trials), range(8), may_begin=False)
    assert choice == Thaw(expected)


@pytest.mark.parametrize("cheapest", [0, 8])
def test_of_two_that_promise_as_much_the_cheaper_goes_on(make_task: MakeTask, cheapest: int) -> None:
    """The further from one end a trial lies, the longer it took: up to 64 times as long."""

    def took(each: TrialView) -> TrialView:
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        end = begin + timedelta(seconds=10 * 64.0 ** (abs(each.number - cheapest) / 8))
        return replace(each, holds=(TrialHold(1, begin, end, Fraction(1)),))

    trials = [took(trial(n, [0.5 if n in {0, 8} else 0.1])) for n in range(9)]
    assert thawing(make_task).choose(study(*trials), [0, 8], may_begin=False) == Thaw(cheapest)


def test_first_come_configurations_of_past_studies(make_task: MakeTask, make_study: Callable[..., StudyRecord]) -> None:
    past = make_study([({"x": n / 10}, -abs(n / 10 - 0.3)) for n in range(11)], space=SPACE)
    chooser = thawing(make_task, priors=(past,))
    first = chooser.choose(study(), [], may_begin=True)
    assert first == Proposal(0, {"x": pytest.approx(0.3)}, "prior", "from past trial 3")


def test_hosts_deal_out_numbers_of_their_own(make_task: MakeTask) -> None:
    chooser = thawing(make_task, host=1, hosts=3)
    proposal = chooser.choose(study(*(trial(n, [0.5]) for n in (0, 1, 2, 3))), [], may_begin=True)
    assert isinstance(proposal, Proposal)
    assert proposal.number == 4


def test_what_failed_or_is_no_number_counts_as_worst(make_task: MakeTask) -> None:
    chooser = thawing(make_task)
    results = chooser._results(
        [
            trial(0, [0.5, 0.6], TrialPhase.COMPLETED),  # it had less to do than others: its end counts
            trial(1, [], TrialPhase.FAILED),
            trial(2, [None], TrialPhase.PRUNED),
            trial(3, [0.5, None, 0.7]),
            trial(4, [], TrialPhase.RUNNING),
        ]
    )
    assert results[0].tolist() == [-0.5, -0.6, -0.6, -0.6]
    assert results[1][0] == results[2][0] == math.inf
    assert results[3][:2].tolist() == [-0.5, -0.7]
    assert math.isnan(results[3][2])
    assert all(math.isnan(value) for value in results[4])


def test_a_sweep_without_the_rule_is_refused(make_task: MakeTask) -> None:
    with pytest.raises(ValueError, match="sets no trials aside"):
        FreezeThawTrials(make_task())
