from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spotwise.scheduler.tuning.space import distributions, encode, fit, spec_of


@pytest.mark.parametrize(
    ("spec", "value", "fitted"),
    [
        ({"type": "float", "low": 0.0, "high": 1.0}, 1.7, 1.0),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}, 0.6, 0.5),
        ({"type": "float", "low": 0.0, "high": 0.9, "step": 0.25}, 0.9, 0.75),
        ({"type": "int", "low": 1, "high": 9, "step": 2}, 6.2, 7),
        ({"type": "int", "low": 8, "high": 512, "log": True}, 100.4, 100),
        ({"type": "int", "low": 1, "high": 9}, True, None),
        ({"type": "int", "low": 1, "high": 9}, "3", None),
        ({"type": "float", "low": 0.0, "high": 1.0}, float("nan"), None),
        ({"type": "categorical", "choices": ["adam", "sgd"]}, "sgd", "sgd"),
        ({"type": "categorical", "choices": ["adam", "sgd"]}, "lion", None),
        ({"type": "categorical", "choices": [1, 2]}, True, None),
    ],
)
def test_fit_finds_the_nearest_value_or_none(spec: dict[str, Any], value: object, fitted: object) -> None:
    assert fit(spec, value) == fitted
    assert type(fit(spec, value)) is type(fitted)


def test_unit_cube(space: dict[str, Any]) -> None:
    """Log scales, the middle for what is missing, and two different choices one apart."""
    points = encode(space, [{"lr": 0.01, "optimizer": "adam"}, {"lr": 5.0, "width": 8, "optimizer": "sgd"}])
    assert points.shape == (2, 4)
    assert points[:, :2] == pytest.approx(np.array([[0.5, 0.5], [1.0, 0.0]]))
    assert np.linalg.norm(points[0, 2:] - points[1, 2:]) == pytest.approx(1.0)


def test_distributions_and_back(space: dict[str, Any]) -> None:
    for name, distribution in distributions(space).items():
        again = spec_of(distribution)
        assert {key: again[key] for key in space[name]} == space[name]
