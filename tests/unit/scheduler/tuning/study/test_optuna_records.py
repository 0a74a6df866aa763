"""Optuna's studies as records: what became of each trial, and the space of all of them."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState

from spotwise.scheduler.core.study import TrialState
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.exchange.optuna_storage import _as_ray_stopped_them
from spotwise.scheduler.tuning.study.optuna_records import record_of, state_of, trial_records
from spotwise.scheduler.tuning.study.search_space import merged

optuna.logging.set_verbosity(optuna.logging.ERROR)
UNIT = {"x": FloatDistribution(0.0, 1.0)}


def study(*distributions: dict[str, BaseDistribution]) -> optuna.Study:
    found = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for each in distributions:
        found.tell(found.ask(each), 1.0)
    return found


def test_a_study_whose_bounds_changed_keeps_all_of_them() -> None:
    wide, narrow = {"x": FloatDistribution(0.0, 1.0)}, {"x": FloatDistribution(0.4, 2.0)}
    for order in ((wide, narrow), (narrow, wide)):
        assert record_of(study(*order)).space["x"] == {
            "type": "float",
            "low": 0.0,
            "high": 2.0,
            "log": False,
            "step": None,
        }
    ints = record_of(study({"n": IntDistribution(1, 8, log=True)}, {"n": IntDistribution(4, 32, log=True)}))
    assert ints.space["n"] == {"type": "int", "low": 1, "high": 32, "log": True, "step": 1}


def spec(kind: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "low": low, "high": high, **more}


def choice(*choices: Any) -> dict[str, Any]:
    return {"type": "categorical", "choices": [*choices]}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (choice(1, "a"), choice("a", True), choice(1, "a", True)),
        (
            spec("float", 0.0, 1.0, step=0.2),
            spec("float", 0.4, 2.0, step=0.2),
            spec("float", 0.0, 2.0, log=False, step=0.2),
        ),
        (
            spec("float", 0.0, 1.0, step=0.2),
            spec("float", 0.5, 2.0, step=0.2),
            spec("float", 0.0, 2.0, log=False, step=None),
        ),
        (spec("int", 1, 8, log=True), spec("float", 0.0, 2.0), spec("float", 0.0, 8.0, log=False, step=None)),
        (spec("int", 1, 8), choice(1, 2), choice(1, 2)),
    ],
)
def test_the_values_of_both_are_in_the_merged_parameter(one: Any, other: Any, both: Any) -> None:
    assert merged(one, other) == both


def reported(values: list[float], end: float | None) -> optuna.trial.FrozenTrial:
    found = optuna.create_study()
    trial = found.ask(UNIT)
    for step, value in enumerate(values, 1):
        trial.report(value, step)
    if end is not None:
        found.tell(trial, end)
    return found.trials[0]


@pytest.mark.parametrize(
    ("values", "end", "state"),
    [
        ([0.1, float("nan")], None, TrialState.FAILED),
        ([float("nan"), 0.1], None, None),
        ([0.1], None, None),
        ([], None, None),
        ([0.1], 0.1, TrialState.COMPLETED),
    ],
)
def test_a_trial_that_runs_behind_a_nan_has_failed(
    values: list[float], end: float | None, state: TrialState | None
) -> None:
    assert state_of(reported(values, end)) is state


def test_a_trial_that_ended_in_nan_is_not_in_flight_for_the_sampler() -> None:
    proposals = []
    for ends in (True, False):
        found = optuna.create_study(
            sampler=TransferSampler(seed=0, space={"x": {"type": "float", "low": 0.0, "high": 1.0}})
        )
        for x in (0.1, 0.3, 0.5, 0.7, 0.9, 0.2, 0.6):
            found.add_trial(optuna.create_trial(value=(x - 0.4) ** 2, params={"x": x}, distributions=UNIT))
        nan = found.ask(UNIT)
        nan.report(float("nan"), 1)
        if ends:
            found.tell(nan, state=OptunaState.FAIL)
        proposals.append(found.ask(UNIT).params)
    assert proposals[0] == proposals[1]


def with_steps(*trials: tuple[list[int], float], first: float = 0.5) -> list[TrialState]:
    found = optuna.create_study()
    for steps, end in trials:
        trial = found.ask(UNIT)
        for step in steps:
            trial.report(end if step == steps[-1] else first, step)
        found.tell(trial, end)
    return [each.state for each in _as_ray_stopped_them(tuple(trial_records(found.trials)))]


def test_only_what_looks_like_rays_work_counts_as_stopped() -> None:
    whole, short = TrialState.COMPLETED, TrialState.PRUNED
    nine, three = [*range(1, 10)], [1, 2, 3]
    assert with_steps((nine, 0.1), (three, 0.2)) == [whole, short]
    assert with_steps((nine, 0.1), (nine, 0.2)) == [whole, whole]
    assert with_steps((nine, 0.1), ([0, 1, 2], 0.2)) == [whole, whole]  # an Optuna program that counts from 0
    assert with_steps((nine, 0.1), ([], 0.2)) == [whole, whole]
    assert with_steps() == []
