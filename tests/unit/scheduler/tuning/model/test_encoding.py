from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import create_trial

from spotwise.scheduler.tuning.model.encoding import MAX_OUTSIDE, UnitCube
from spotwise.scheduler.tuning.study.search_space import distributions, spec_of

Spec = dict[str, Any]
SPECS: list[tuple[Spec, list[Any]]] = [
    ({"type": "float", "low": -2.0, "high": 3.0}, [-2.0, 0.125, 3.0]),
    ({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, [1e-4, 0.01, 1.0]),
    ({"type": "int", "low": 1, "high": 9}, [1, 2, 9]),
    ({"type": "int", "low": 1, "high": 9, "step": 4}, [1, 5, 9]),
    ({"type": "int", "low": 0, "high": 50_000}, [0, 7, 49_999]),
    ({"type": "int", "low": 1, "high": 512, "log": True}, [1, 2, 100, 511, 512]),
    ({"type": "float", "low": 0.1, "high": 1.7, "step": 0.1}, [0.1, 0.2, 0.3, 1.7]),
    ({"type": "categorical", "choices": [None, 1, True, "1", 0.5]}, [None, 1, True, "1", 0.5]),
    ({"type": "categorical", "choices": [True, 1]}, [True, 1]),
    ({"type": "float", "low": 3.0, "high": 3.0}, [3.0]),
    ({"type": "int", "low": 3, "high": 3}, [3]),
    ({"type": "float", "low": 3.0, "high": 3.0, "log": True}, [3.0]),
    ({"type": "categorical", "choices": ["only"]}, ["only"]),
]
PLAIN: dict[str, Spec] = {
    "lr": SPECS[1][0],
    "layers": SPECS[2][0],
    "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
}


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    if draw(st.booleans()) and draw(st.booleans()):
        return {"type": "categorical", "choices": [None, *range(draw(st.integers(0, 4)))]}
    log = draw(st.booleans())
    if draw(st.booleans()):
        low = draw(st.integers(1 if log else -50, 60))
        step = 1 if log else draw(st.integers(1, 9))
        return {"type": "int", "low": low, "high": low + step * draw(st.integers(0, 5000)), "log": log, "step": step}
    lowest, width = draw(st.floats(1e-6 if log else -100, 100)), draw(st.floats(0, 1000))
    grid = None if log else draw(st.sampled_from([None, 0.1, 0.07, 0.25, 3.0]))
    return {"type": "float", "low": lowest, "high": lowest + width, "log": log, "step": grid}


@pytest.mark.parametrize(("spec", "values"), SPECS)
def test_values_come_back_from_their_rows(spec: Spec, values: list[Any]) -> None:
    cube = UnitCube({"p": spec})
    for value in values:
        back = cube.config(cube.rows([{"p": value}])[0])["p"]
        assert (back, type(back)) == (pytest.approx(value, rel=1e-12) if type(value) is float else value, type(value))


@pytest.mark.filterwarnings("ignore:The distribution is specified by")  # that Optuna lowers the upper bound
@settings(deadline=None)
@given(space=st.dictionaries(st.sampled_from("abc"), specs(), min_size=1), seed=st.integers(0, 1000))
def test_what_is_proposed_is_in_optunas_distribution_and_known_again_as_tried(
    space: dict[str, Spec], seed: int
) -> None:
    cube, rng = (
        UnitCube({name: spec_of(dist) for name, dist in distributions(space).items()}),
        np.random.default_rng(seed),
    )
    rows = cube.random(8, rng)
    rows = np.vstack([rows, cube.neighbours(rows, 4, rng)])
    configs = [cube.config(row) for row in rows]
    for config in configs:
        create_trial(value=0.0, params=config, distributions=distributions(space))
    assert cube.is_among(rows, cube.rows(configs)).all()


def test_random_rows_cover_every_choice_and_the_whole_range() -> None:
    cube = UnitCube(PLAIN)
    configs = [cube.config(row) for row in cube.random(400, np.random.default_rng(0))]
    assert {config["layers"] for config in configs} == set(range(1, 10))
    assert {config["kind"] for config in configs} == {"a", "b", "c"}
    assert 0.4 < sum(config["lr"] < 0.01 for config in configs) / 400 < 0.6  # 0.01 is the middle of the log scale


def test_missing_parameters_are_left_out_of_configurations_and_lie_in_the_middle_of_columns() -> None:
    cube = UnitCube(PLAIN)
    rows = cube.rows([{"layers": 9}, {}])
    assert np.isnan(rows).tolist() == [[True, False, True], [True, True, True]]
    assert [cube.config(row) for row in rows] == [{"layers": 9}, {}]
    assert cube.columns(rows).tolist() == [[0.5, 1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0]]
    assert not np.isnan(cube.filled(rows, np.random.default_rng(0))).any()


def test_different_choices_lie_one_apart() -> None:
    cube = UnitCube({"kind": PLAIN["kind"]})
    a, b = cube.columns(cube.rows([{"kind": "a"}, {"kind": "b"}]))
    assert np.linalg.norm(a - b) == pytest.approx(1.0)


@pytest.mark.parametrize("value", ["0.1", True, None, math.nan, math.inf, [0.1]])
def test_what_is_no_number_is_missing_from_a_numeric_parameter(value: object) -> None:
    assert np.isnan(UnitCube({"lr": PLAIN["lr"]}).rows([{"lr": value}])).all()


@pytest.mark.parametrize("value", ["d", 1, None])
def test_what_is_no_choice_is_missing_from_a_categorical_parameter(value: object) -> None:
    assert np.isnan(UnitCube({"kind": PLAIN["kind"]}).rows([{"kind": value}])).all()


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("lr", 10.0, 1.25),
        ("lr", 1e-5, -0.25),
        ("lr", 1e9, 1 + MAX_OUTSIDE),
        ("lr", 0.0, -MAX_OUTSIDE),
        ("lr", -3.0, -MAX_OUTSIDE),
        ("layers", 11, 1.25),
        ("layers", -100, -MAX_OUTSIDE),
        ("layers", 3.4, 0.3),
    ],
)
def test_values_of_another_space_lie_outside_the_bounds_up_to_a_limit(name: str, value: float, place: float) -> None:
    assert UnitCube({name: PLAIN[name]}).rows([{name: value}])[0, 0] == pytest.approx(place)


def test_neighbours_lie_inside_and_most_differ_in_one_parameter_or_two() -> None:
    cube, rng = UnitCube(PLAIN), np.random.default_rng(0)
    start = cube.rows([{"lr": 0.01, "layers": 5, "kind": "a"}])
    near = cube.neighbours(start, 500, rng)
    moved = (near != start).sum(axis=1)
    assert ((near >= 0) & (near <= [1, 1, 2])).all()
    assert (moved > 0).mean() > 0.75
    assert (moved < 3).mean() > 0.75
    assert all((near[:, column] != start[0, column]).any() for column in range(3))


@pytest.mark.parametrize("params", [{"lr": 99.0, "layers": -50, "kind": "a"}, {"layers": 5}, {}])
def test_neighbours_of_what_lies_outside_or_is_incomplete_are_whole_configurations_inside(params: Spec) -> None:
    cube = UnitCube(PLAIN)
    near = cube.neighbours(cube.rows([params]), 50, np.random.default_rng(0))
    assert ((near >= 0) & (near <= [1, 1, 2])).all()


@pytest.mark.parametrize("params", [{"lr": 0.5, "kind": "a"}, {"lr": 0.5}, {}])
def test_what_is_missing_is_drawn_and_known_again_and_the_rest_stays(params: Spec) -> None:
    cube, rng = UnitCube(PLAIN), np.random.default_rng(0)
    rows = cube.rows([params] * 30)
    filled = cube.filled(rows, rng)
    assert cube.is_among(filled, cube.rows([cube.config(row) for row in filled])).all()
    assert (filled[~np.isnan(rows)] == rows[~np.isnan(rows)]).all()
    assert len(np.unique(filled[:, 1])) > 3  # of nine numbers of layers


def test_nothing_has_no_neighbours() -> None:
    assert UnitCube(PLAIN).neighbours(np.zeros((0, 3)), 5, np.random.default_rng(0)).shape == (0, 3)


def test_rows_are_among_others_only_where_every_parameter_is_the_same() -> None:
    cube = UnitCube(PLAIN)
    whole = {"lr": 0.01, "layers": 5, "kind": "a"}
    others = [{**whole, "lr": 0.02}, {**whole, "layers": 6}, {**whole, "kind": "b"}, {"lr": 0.01, "layers": 5}]
    rows = cube.rows([whole, *others])
    assert cube.is_among(rows, rows[1:]).tolist() == [False, True, True, True, True]
    assert not cube.is_among(rows, rows[:0]).any()


def test_null_is_a_choice_like_others() -> None:
    cube = UnitCube({"decay": {"type": "categorical", "choices": [None, "cosine"]}})
    null, cosine, missing = cube.columns(cube.rows([{"decay": None}, {"decay": "cosine"}, {}]))
    assert np.linalg.norm(null - cosine) == pytest.approx(1.0)
    assert missing.tolist() == [0.0, 0.0]


def test_steps_that_do_not_reach_the_upper_bound() -> None:
    """21 steps of 0.07 fit into a range of 1.5: Optuna's last value is 0.03 below the bound, and so is ours."""
    cube = UnitCube({"x": {"type": "float", "low": 0.0, "high": 1.5, "step": 0.07}})
    top = cube.snapped(np.array([[1.0], [0.5]]))
    assert cube.config(top[0])["x"] == pytest.approx(1.47)
    assert cube.rows([cube.config(row) for row in top]) == pytest.approx(top)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "float", "low": 0.0, "high": 1.0}, True),
        ({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, True),
        ({"type": "int", "low": 16, "high": 512, "log": True}, True),
        ({"type": "int", "low": 1, "high": 100}, True),
        ({"type": "int", "low": 1, "high": 8}, False),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}, False),
        ({"type": "float", "low": 2.0, "high": 2.0}, False),
        ({"type": "categorical", "choices": [1, 2, 3]}, False),
    ],
)
def test_only_parameters_of_many_values_are_moved_freely(spec: Spec, expected: bool) -> None:
    assert UnitCube({"a": spec}).is_smooth.tolist() == [expected]
