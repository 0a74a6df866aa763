"""Which configurations a space has, and which parameters exist with one."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from spotwise.scheduler.core.configurations import (
    active_params,
    configuration_count,
    configuration_key,
    configurations,
    has_value,
)

OPTIMIZER = {"type": "categorical", "choices": ["adam", "sgd"]}
MOMENTUM = {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3, "when": {"optimizer": "sgd"}}
NESTEROV = {"type": "categorical", "choices": [True, False], "when": {"momentum": [0.3, 0.6, 0.9]}}
CONDITIONAL: dict[str, dict[str, Any]] = {"nesterov": NESTEROV, "momentum": MOMENTUM, "optimizer": OPTIMIZER}


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"type": "categorical", "choices": ["a", None, 1, True, 1]}, ["a", None, 1, True]),
        ({"type": "int", "low": 1, "high": 4}, [1, 2, 3, 4]),
        ({"type": "int", "low": 8, "high": 20, "step": 5}, [8, 13, 18]),
        ({"type": "int", "low": 2, "high": 4, "log": True}, [2, 3, 4]),
        ({"type": "float", "low": 0.1, "high": 0.4, "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"type": "float", "low": 0, "high": 1, "step": 0.4}, [0.0, 0.4, 0.8]),
        ({"type": "float", "low": 0, "high": 1, "step": 3}, [0.0]),
    ],
)
def test_categorical_int_and_step_parameters_have_so_many_values(spec: dict[str, Any], values: list[Any]) -> None:
    assert [each["p"] for each in configurations({"p": spec})] == values
    assert configuration_count({"p": spec}) == len(values)
    assert all(has_value(spec, value) for value in values)


def test_a_space_with_any_real_value_or_too_many_is_endless() -> None:
    real = {"type": "float", "low": 0.0, "high": 1.0}
    assert configuration_count({"lr": real, "optimizer": OPTIMIZER}) is None
    assert configuration_count({"seed": {"type": "int", "low": 0, "high": 10**25}}) is None
    assert configuration_count({"x": {"type": "float", "low": 0, "high": 1e300, "step": 1e-9}}) is None
    assert configuration_count({f"p{i}": OPTIMIZER for i in range(30)}) is None
    assert len(list(islice(configurations({f"p{i}": OPTIMIZER for i in range(30)}), 5))) == 5
    with pytest.raises(ValueError, match="lr may have any value"):
        list(configurations({"lr": real}))


def test_parameters_exist_only_with_the_values_that_they_depend_on() -> None:
    assert list(configurations(CONDITIONAL)) == [
        {"optimizer": "adam"},
        {"momentum": 0.0, "optimizer": "sgd"},
        *({"nesterov": n, "momentum": m, "optimizer": "sgd"} for m in (0.3, 0.6, 0.9) for n in (True, False)),
    ]
    assert configuration_count(CONDITIONAL) == 8
    assert active_params(CONDITIONAL, {"nesterov": True, "momentum": 0.3, "optimizer": "adam"}) == {"optimizer": "adam"}
    assert active_params(CONDITIONAL, {"nesterov": True, "momentum": 0.3}) == {"nesterov": True, "momentum": 0.3}


def test_configurations_are_the_same_that_differ_in_what_does_not_exist() -> None:
    adam = configuration_key(CONDITIONAL, {"optimizer": "adam", "momentum": 0.3})
    assert adam == configuration_key(CONDITIONAL, {"momentum": 0.6, "optimizer": "adam"})
    sgd = [configuration_key(CONDITIONAL, {"optimizer": "sgd", "momentum": m}) for m in (0.6, 0.6000000000000001, 0.9)]
    assert sgd[0] == sgd[1] != sgd[2]
    kinds = {"x": {"type": "categorical", "choices": [1, True, "1", None]}}
    assert len({configuration_key(kinds, {"x": value}) for value in (1, True, "1", None)}) == 4


def test_a_circle_of_conditions_has_an_end() -> None:
    circle = {"a": {**OPTIMIZER, "when": {"b": "sgd"}}, "b": {**OPTIMIZER, "when": {"a": "sgd"}}}
    assert configuration_count(circle) is not None
    assert active_params(circle, {"a": "adam", "b": "sgd"}) is not None
