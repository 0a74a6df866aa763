"""Spaces, failures and parallel trials that a sampler meets in practice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from bowls import SPACE, Bowl, past_studies
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning import TransferSampler

MakeStudy = Callable[..., StudyRecord]
optuna.logging.set_verbosity(optuna.logging.ERROR)
UNIT = FloatDistribution(0.0, 1.0)
BOWL: dict[str, BaseDistribution] = dict.fromkeys(SPACE, UNIT)
HISTORIES = pytest.mark.parametrize(
    "history", [past_studies(), past_studies(goal="maximize"), []], ids=["related", "turned round", "none"]
)


def sampled(history: list[Any], direction: str = "minimize", seed: int | None = 0) -> optuna.Study:
    return optuna.create_study(direction=direction, sampler=TransferSampler(history, seed=seed))


def params(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def run(study: optuna.Study, value: Callable[[float], float], trials: int = 14) -> list[dict[str, Any]]:
    """The bowl's value through a function, the fourth trial pruned after two reports."""
    for number in range(trials):
        trial = study.ask(BOWL)
        result = value(Bowl(0).value(trial.params))
        if number == 3:
            trial.report(result, step=2)
        study.tell(trial, None if number == 3 else result, state=TrialState.PRUNED if number == 3 else None)
    return params(study)


@HISTORIES
def test_maximising_proposes_what_minimising_the_negated_metric_does(history: list[StudyRecord]) -> None:
    assert run(sampled(history, "maximize"), lambda v: -v) == run(sampled(history), lambda v: v)


@HISTORIES
def test_order_preserving_rescaling_of_the_metric_changes_no_proposal(history: list[StudyRecord]) -> None:
    assert run(sampled(history), lambda v: -1000.0 / (1.0 + v) ** 3) == run(sampled(history), lambda v: v)


@HISTORIES
def test_optimize_and_ask_and_tell_propose_the_same(history: list[StudyRecord]) -> None:
    asked, optimized = sampled(history), sampled(history)
    for _ in range(12):
        trial = asked.ask()
        asked.tell(trial, Bowl(0).objective(trial))
    optimized.optimize(Bowl(0).objective, 12)
    assert params(asked) == params(optimized)


@HISTORIES
def test_eight_trials_in_flight_at_once_all_differ(history: list[StudyRecord]) -> None:
    study = sampled(history)
    study.optimize(Bowl(0).objective, 8)
    for _ in range(2):
        pending = [study.ask(BOWL) for _ in range(8)]
        assert len({tuple(trial.params.values()) for trial in pending}) == 8
        for trial in pending:
            study.tell(trial, Bowl(0).value(trial.params))


def test_restart_in_another_order_of_parameters_proposes_the_same() -> None:
    """A storage may give a trial's parameters back in an order of its own."""
    one, other = sampled(past_studies()), sampled(past_studies())
    one.optimize(Bowl(0).objective, 12)
    for done in one.trials:
        turned = {name: done.params[name] for name in reversed(SPACE)}
        other.add_trial(optuna.create_trial(value=done.value, params=turned, distributions=dict.fromkeys(turned, UNIT)))
    assert one.ask(BOWL).params == other.ask(dict(reversed(BOWL.items()))).params


def conditional(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("kind", ["plain", "deep"]) == "plain":
        return 0.5 + trial.suggest_float("x", 0.0, 1.0)
    return (trial.suggest_int("depth", 1, 64, log=True) - 8) ** 2 / 64 + trial.suggest_float("x", 0.0, 1.0)


@pytest.mark.parametrize("with_history", [False, True])
def test_a_parameter_of_one_branch_is_learned_where_it_exists(with_history: bool) -> None:
    past = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    past.optimize(conditional, 40)
    study = sampled([past] if with_history else [])
    study.optimize(conditional, 30)
    assert all(("depth" in each) == (each["kind"] == "deep") for each in params(study))
    assert study.best_params["kind"] == "deep"
    assert study.best_value < 0.2


@pytest.mark.parametrize("with_history", [False, True])
def test_a_purely_categorical_space_is_searched_to_its_best(make_study: MakeStudy, with_history: bool) -> None:
    space: dict[str, BaseDistribution] = {
        name: CategoricalDistribution([None, "a", "b", False]) for name in ("p", "q", "r")
    }
    costs = {None: 0.0, "a": 1.0, "b": 2.0, False: 3.0}
    choices = list(costs)
    past = make_study(
        [({"p": p, "q": q, "r": choices[(i + j) % 4]}, -costs[p] - costs[q] - costs[choices[(i + j) % 4]])
         for i, p in enumerate(choices) for j, q in enumerate(choices)],
        space={name: {"type": "categorical", "choices": choices} for name in space},
    )  # fmt: skip
    study = sampled([past] if with_history else [])
    for _ in range(25):  # of 64
        trial = study.ask(space)
        study.tell(trial, sum(costs[value] for value in trial.params.values()))
    assert study.best_params == dict.fromkeys(space)


def after(*others: optuna.trial.FrozenTrial, seed: int = 0) -> optuna.Study:
    """Ten trials of the bowl, then others."""
    study = sampled([], seed=seed)
    for done in Bowl(0).study(10).trials:
        study.add_trial(optuna.create_trial(value=done.value, params=done.params, distributions=BOWL))
    study.add_trials(others)
    return study


def trial_of(params: dict[str, float], state: TrialState) -> optuna.trial.FrozenTrial:
    value = Bowl(0).value(params) if state is TrialState.COMPLETE else None
    return optuna.create_trial(state=state, value=value, params=params, distributions=BOWL)


NOTHING = optuna.create_trial(state=TrialState.FAIL)  # the trial's number seeds its proposal: studies need as many


@pytest.mark.parametrize("seed", range(3))
def test_the_neighbourhood_of_a_configuration_that_failed_is_avoided(seed: int) -> None:
    wanted = after(NOTHING, seed=seed).ask(BOWL).params
    instead = after(trial_of(wanted, TrialState.FAIL), seed=seed).ask(BOWL).params
    assert max(abs(instead[name] - wanted[name]) for name in SPACE) > 0.1


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING])
def test_failed_trial_that_was_tried_again_is_ignored(state: TrialState) -> None:
    params = dict(zip(SPACE, Bowl(0).lowest.tolist(), strict=True))
    retried = after(trial_of(params, TrialState.FAIL), trial_of(params, state))
    assert retried.ask(BOWL).params == after(NOTHING, trial_of(params, state)).ask(BOWL).params


def test_pruned_trials_teach_that_their_place_is_worse_than_any_completed_one() -> None:
    study = sampled([])
    for x in (0.05, 0.1, 0.15, 0.2, 0.25, 0.6, 0.65, 0.7):
        pruned = x > 0.5
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                value=0.0 if pruned else 10.0 - x,
                intermediate_values={1: 0.0} if pruned else {},
                params={"x": x},
                distributions={"x": UNIT},
            )
        )
    assert study.ask({"x": UNIT}).params["x"] < 0.5


@HISTORIES
def test_bounds_may_change_from_trial_to_trial(history: list[StudyRecord]) -> None:
    study = sampled(history)
    for number in range(16):
        low, high = (0.0, 1.0) if number < 6 else (0.3, 0.5 + 0.1 * (number % 4))
        trial = study.ask({**BOWL, "x": FloatDistribution(low, high)})
        assert low <= trial.params["x"] <= high
        study.tell(trial, Bowl(0).value(trial.params))


def test_history_with_a_parameter_of_another_kind_helps_with_the_others(make_study: MakeStudy) -> None:
    """``size`` was a name, and is a number now; ``x`` was best at 0.8."""
    old = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "size": {"type": "categorical", "choices": ["s", "l"]}}
    tried = [({"x": i / 20, "size": "sl"[i % 2]}, -((i / 20 - 0.8) ** 2)) for i in range(21)]
    study = sampled([make_study(tried, space=old)])
    for _ in range(12):
        trial = study.ask({"x": UNIT, "size": IntDistribution(1, 9)})
        assert trial.params["size"] in range(1, 10)
        study.tell(trial, (trial.params["x"] - 0.8) ** 2)
    assert sum(abs(each["x"] - 0.8) < 0.2 for each in params(study)) > 6


def test_without_a_seed_two_samplers_differ_and_both_work() -> None:
    one, other = (run(sampled([], seed=None), lambda v: v, 9) for _ in range(2))
    assert one != other


@pytest.mark.parametrize("space", [None, SPACE])
def test_a_single_valued_parameter_is_proposed_with_the_others(space: dict[str, Any] | None) -> None:
    fixed = None if space is None else {**space, "batch": {"type": "int", "low": 32, "high": 32}}
    study = optuna.create_study(sampler=TransferSampler(past_studies(), seed=0, space=fixed))
    for _ in range(10):
        trial = study.ask({**BOWL, "batch": IntDistribution(32, 32)})
        study.tell(trial, Bowl(0).value(trial.params))
    assert {each["batch"] for each in params(study)} == {32}
    assert len({tuple(each[name] for name in SPACE) for each in params(study)}) == 10
