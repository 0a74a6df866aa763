"""What a job file may say of a sweep's space: conditions, grids, and whether it has an end."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.job_spec import JobSpec, parse_job

OPTIMIZER = {"type": "categorical", "choices": ["adam", "sgd"]}
LR = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}
LAYERS = {"type": "int", "low": 1, "high": 3}


def job(space: dict[str, Any], **sweep: Any) -> JobSpec:
    keys = {"metric": "acc", "goal": "maximize", "space": space, **sweep}
    return parse_job(yaml.safe_dump({"run": "true", "sweep": keys}, sort_keys=False), source="job.yaml")


def faults(space: dict[str, Any], **sweep: Any) -> str:
    with pytest.raises(JobFileError) as error:
        job(space, **sweep)
    return str(error.value)


def test_conditions_arrive_as_values() -> None:
    momentum = {"type": "float", "low": 0.0, "high": 1.0, "when": {"optimizer": "sgd", "layers": [2, 3]}}
    found = job({"momentum": momentum, "optimizer": OPTIMIZER, "layers": LAYERS}, trials=4)
    assert found.sweep is not None
    assert found.sweep.space_spec["momentum"]["when"] == {"optimizer": "sgd", "layers": [2, 3]}
    assert "when" not in found.sweep.space_spec["optimizer"]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"optimiser": "sgd"}, "when.optimiser: found no parameter of this name"),
        ({"optimiser": "sgd"}, "did you mean optimizer"),
        ({"optimizer": "rmsprop"}, "when.optimizer: found 'rmsprop', which optimizer never is"),
        ({"optimizer": ["sgd", "rmsprop"]}, "which optimizer never is"),
        ({"layers": 4}, "which layers never is"),
        ({"layers": True}, "which layers never is"),
        ({"lr": 0.01}, "when.lr: found a parameter that may be any number"),
        ({"momentum": "sgd"}, "found a condition that leads back to this parameter"),
        ({}, "when: found"),
        ({"optimizer": []}, "allowed: a list of one or more values"),
        ("sgd", "such as {optimizer: sgd}"),
    ],
)
def test_conditions_that_never_hold_are_faults(when: Any, said: str) -> None:
    momentum = {**OPTIMIZER, "choices": ["sgd", 0.9], "when": when}
    assert said in faults({"momentum": momentum, "optimizer": OPTIMIZER, "layers": LAYERS, "lr": LR}, trials=4)


def test_a_circle_of_conditions_is_a_fault_of_each_that_is_in_it() -> None:
    space = {"a": {**OPTIMIZER, "when": {"b": "sgd"}}, "b": {**OPTIMIZER, "when": {"c": "sgd"}}}
    said = faults({**space, "c": {**OPTIMIZER, "when": {"a": "sgd"}}}, trials=4)
    assert [f"sweep.space.{name}.when: found a condition that leads back" in said for name in "abc"] == [True] * 3


def test_a_finite_space_has_an_end_of_its_own_and_another_needs_one() -> None:
    found = job({"optimizer": OPTIMIZER, "layers": LAYERS})
    assert found.sweep is not None
    assert found.sweep.most_trials == 6
    assert "trials, budget or deadline, or the sweep never ends" in faults({"optimizer": OPTIMIZER, "lr": LR})


@pytest.mark.parametrize(("trials", "most"), [(4, 4), (8, 6)])
def test_no_more_trials_are_planned_than_there_are_configurations(trials: int, most: int) -> None:
    found = job({"optimizer": OPTIMIZER, "layers": LAYERS}, trials=trials, search="grid")
    assert found.sweep is not None
    assert found.sweep.most_trials == most


def test_a_grid_needs_a_space_with_an_end_and_nothing_that_chooses() -> None:
    said = faults({"optimizer": OPTIMIZER, "lr": LR}, search="grid", trials=4, stop_when={"gain_below": 0.1, "per": 5})
    assert "sweep.space.lr: found any number between two bounds, with search: grid" in said
    assert "sweep.stop_when: found beside search: grid" in said
    huge = {"seed": {"type": "int", "low": 0, "high": 10**6}}
    assert "the grid has more than 10000 configurations; required: how many of them" in faults(huge, search="grid")
    assert "allowed: model, grid" in faults({"optimizer": OPTIMIZER}, search="random")
    frozen = faults({"optimizer": OPTIMIZER}, search="grid", early_stopping={"type": "freeze_thaw"})
    assert "sweep.search: found grid beside freeze_thaw" in frozen
