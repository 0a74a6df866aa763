from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.search.portfolio import choose

MakeStudy = Callable[..., StudyRecord]
LINE: dict[str, dict[str, Any]] = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def line_study(make: MakeStudy, best: float, **changes: Any) -> StudyRecord:
    points = [i / 20 for i in range(21)]
    return make([({"x": x}, -((x - best) ** 2)) for x in points], **({"space": LINE} | changes))


def test_choices_complement_each_other(make_study: MakeStudy) -> None:
    """Two tasks with optima far apart: the first two choices serve both, though one task's next best ranks higher."""
    past = [line_study(make_study, 0.1, id="left"), line_study(make_study, 0.9, id="right")]
    first, second = choose(past, LINE, 2)
    assert {first.from_study, second.from_study} == {"left", "right"}
    assert abs(first.params["x"] - second.params["x"]) > 0.5


def test_best_of_one_study_are_kept_apart(make_study: MakeStudy) -> None:
    picked = choose([line_study(make_study, 0.5)], LINE, 3)
    assert abs(picked[0].params["x"] - 0.5) <= 0.05
    assert all(abs(a.params["x"] - b.params["x"]) > 0.1 for a, b in itertools.combinations(picked, 2))


def test_scale_and_direction_of_a_past_metric_do_not_matter(make_study: MakeStudy) -> None:
    plain = line_study(make_study, 0.3)
    turned = make_study([(t.params, -1000 * (t.value or 0) + 7) for t in plain.trials], space=LINE, goal="minimize")
    assert choose([turned], LINE, 4) == choose([plain], LINE, 4)


def test_values_are_fitted_into_the_new_space(make_study: MakeStudy) -> None:
    """Beyond the bounds: the bound. No such choice, or no such parameter: left to the sampler."""
    past = make_study([({"lr": 50.0, "optimizer": "lion", "depth": 3}, 0.9), ({"lr": 0.1}, 0.1)])
    new = {
        "lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 1.0},
    }
    assert choose([past], new, 1)[0].params == {"lr": 1.0}


def test_failed_trials_are_never_chosen(make_study: MakeStudy) -> None:
    past = make_study([({"x": 0.0}, 0.9), ({"x": 0.5}, None), ({"x": 1.0}, float("nan"))], space=LINE)
    assert [config.params["x"] for config in choose([past], LINE, 5)] == [0.0]


def test_unrelated_or_empty_history_gives_nothing(make_study: MakeStudy) -> None:
    assert choose([], LINE, 5) == ()
    assert choose([line_study(make_study, 0.5)], {"y": LINE["x"]}, 5) == ()
    assert choose([line_study(make_study, 0.5)], {"x": {"type": "categorical", "choices": [0.5]}}, 5) == ()
