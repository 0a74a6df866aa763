from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial

from spotwise.scheduler.tuning.study.search_space import NO_FIT, distributions, fit, fit_params, spec_of


@pytest.mark.parametrize(
    ("spec", "value", "fitted"),
    [
        ({"type": "float", "low": 0.0, "high": 1.0}, 1.7, 1.0),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}, 0.6, 0.5),
        ({"type": "float", "low": 0.0, "high": 0.9, "step": 0.25}, 0.9, 0.75),
        ({"type": "int", "low": 1, "high": 9, "step": 2}, 6.2, 7),
        ({"type": "int", "low": 8, "high": 512, "log": True}, 100.4, 100),
        ({"type": "int", "low": 1, "high": 9}, True, NO_FIT),
        ({"type": "int", "low": 1, "high": 9}, "3", NO_FIT),
        ({"type": "float", "low": 0.0, "high": 1.0}, float("nan"), NO_FIT),
        ({"type": "categorical", "choices": ["adam", "sgd"]}, "sgd", "sgd"),
        ({"type": "categorical", "choices": ["adam", "sgd"]}, "lion", NO_FIT),
        ({"type": "categorical", "choices": [1, 2]}, True, NO_FIT),
        ({"type": "categorical", "choices": [1, 2]}, None, NO_FIT),
        ({"type": "categorical", "choices": [None, 2]}, None, None),
        ({"type": "float", "low": 0.1, "high": 0.3, "step": 0.1}, 0.3, 0.3),
        # 21 steps, but for the last digit of the upper bound, as Optuna lowers it
        (
            {"type": "float", "low": 1.5485075566106445, "high": 3.0185075566106443, "step": 0.07},
            3.1,
            3.0185075566106443,
        ),
    ],
)
def test_fit_finds_the_nearest_value_if_there_is_one(spec: dict[str, Any], value: object, fitted: object) -> None:
    assert fit(spec, value) == fitted
    assert type(fit(spec, value)) is type(fitted)


def test_distributions_and_back(space: dict[str, Any]) -> None:
    for name, distribution in distributions(space).items():
        again = spec_of(distribution)
        assert {key: again[key] for key in space[name]} == space[name]


@pytest.mark.filterwarnings("ignore:The distribution is specified by")  # that Optuna lowers the upper bound
@given(
    low=st.integers(-10_000, 10_000),
    places=st.floats(1.1, 200),
    step=st.sampled_from([0.1, 0.3, 0.07, 1e-3, 0.5, 1, 3]),
    value=st.floats(-40, 40),
)
def test_what_fits_a_grid_is_on_optunas_grid(low: int, places: float, step: float, value: float) -> None:
    """Optuna refuses a trial whose value is not on its own grid."""
    space = {"x": {"type": "float", "low": low / 1000, "high": low / 1000 + places * step, "step": step}}
    create_trial(value=0.0, params={"x": fit(space["x"], value)}, distributions=distributions(space))


def test_null_is_a_choice_like_others() -> None:
    space = {"decay": {"type": "categorical", "choices": [None, "cosine"]}}
    assert fit_params(space, {"decay": None}) == {"decay": None}
    assert fit_params(space, {"decay": "linear"}) == {}
