"""Spaces inferred from what was tried."""

from __future__ import annotations

import random
from typing import Any

import pytest

from spotwise.scheduler.tuning.exchange.inferred import infer_space


def inferred(*values: Any) -> dict[str, Any]:
    return infer_space([{"x": value} for value in values]).space.get("x", {})


@pytest.mark.parametrize("seed", range(5))
def test_a_logarithmic_scale_is_told_from_a_plain_one(seed: int) -> None:
    draw = random.Random(seed)
    assert inferred(*(10 ** draw.uniform(-5, -1) for _ in range(12)))["log"]
    assert not inferred(*(draw.uniform(0, 0.5) for _ in range(12)))["log"]


def test_bounds_are_rounded_outwards() -> None:
    assert inferred(0.00013, 0.0009, 0.004, 0.083) == {"type": "float", "low": 1e-4, "high": 0.09, "log": True}
    assert inferred(0.0034, 0.31, 0.26, 0.487) == {"type": "float", "low": 0.0, "high": 0.49, "log": False}
    assert inferred(0.001, 0.01, 0.1) == {"type": "float", "low": 0.001, "high": 0.1, "log": True}
    assert inferred(-1.26, 2, 3) == {"type": "float", "low": -1.3, "high": 3.0, "log": False}


def test_whole_numbers_keep_their_bounds() -> None:
    assert inferred(16, 64, 32) == {"type": "int", "low": 16, "high": 64, "log": False}
    assert inferred(8, 1024, 16, 32, 64, 8, 16) == {"type": "int", "low": 8, "high": 1024, "log": True}


def test_text_truth_and_mixtures_are_choices() -> None:
    assert inferred("adam", "sgd", "adam") == {"type": "categorical", "choices": ["adam", "sgd"]}
    assert inferred(True, 1, False) == {"type": "categorical", "choices": [True, 1, False]}
    assert inferred(None, 3) == {"type": "categorical", "choices": [None, 3]}


def test_what_is_no_parameter_is_left_out_and_said() -> None:
    found = infer_space([{"epochs": 5, "layers": [1], "lr": 0.1}, {"epochs": 5, "layers": [2], "lr": 0.2, "late": 1}])
    assert list(found.space) == ["lr"]
    assert found.notes == (
        "epochs is left out: it is 5 in every trial",
        "layers is left out: it has values that are no number, text or truth value",
        "lr: float 0.1 to 0.2, from 0.1 to 0.2 as tried",
        "late is left out: it is 1 in every trial",
    )
