from __future__ import annotations

import math
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.scheduler.retraining.gate import Score, judge

METRIC = "val_accuracy"


def score(value: float, version: str, metric: str = METRIC, goal: str = "maximize") -> Score:
    return Score(metric, value, goal, version)


@pytest.mark.parametrize(
    ("goal", "candidate", "champion", "asked", "promote"),
    [
        ("maximize", 0.97, 0.96, 0.0, True),
        ("maximize", 0.96, 0.96, 0.0, False),  # equal is not better
        ("maximize", 0.95, 0.96, 0.0, False),
        ("maximize", 0.97, 0.96, 0.01, True),  # exactly what was asked, though 0.97 - 0.96 < 0.01 in binary
        ("maximize", 0.3, 0.2, 0.1, True),  # 0.3 - 0.2 = 0.09999999999999998 in binary
        ("maximize", 0.969, 0.96, 0.01, False),
        ("minimize", 0.10, 0.12, 0.0, True),
        ("minimize", 0.12, 0.12, 0.0, False),
        ("minimize", 0.11, 0.12, 0.02, False),
        ("minimize", 0.10, 0.12, 0.02, True),
        ("maximize", -1.0, -2.0, 0.5, True),
    ],
)
def test_promotes_what_is_better_by_enough(
    goal: Literal["maximize", "minimize"], candidate: float, champion: float, asked: float, promote: bool
) -> None:
    verdict = judge(score(candidate, "new", goal=goal), score(champion, "old", goal=goal), METRIC, goal, asked)
    assert verdict.promote is promote
    assert "new" in verdict.reason
    assert "old" in verdict.reason


def test_the_reason_reads_as_a_sentence() -> None:
    verdict = judge(score(0.9731, "digits-2"), score(0.9705, "digits-1"), METRIC, "maximize", 0.001)
    assert verdict.reason == (
        "val_accuracy 0.9731 of digits-2 against the champion's val_accuracy 0.9705 of digits-1: "
        "0.0026 better, at least 0.001 asked (maximize)"
    )


def test_the_first_usable_model_is_promoted() -> None:
    verdict = judge(score(0.5, "new"), None, METRIC, "maximize")
    assert verdict.promote
    assert "no champion yet" in verdict.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("champion", [None, 0.9])
def test_what_is_no_number_never_promotes(
    value: float, goal: Literal["maximize", "minimize"], champion: float | None
) -> None:
    best = None if champion is None else score(champion, "old", goal=goal)
    verdict = judge(score(value, "new", goal=goal), best, METRIC, goal)
    assert not verdict.promote
    assert "not a number to judge by" in verdict.reason


@pytest.mark.parametrize("candidate", [None, score(0.99, "new", metric="train_accuracy")])
def test_a_missing_metric_never_promotes_and_says_how_to_report_it(candidate: Score | None) -> None:
    verdict = judge(candidate, None, METRIC, "maximize")
    assert not verdict.promote
    assert "session.report(val_accuracy=...)" in verdict.reason


@pytest.mark.parametrize(
    "champion", [score(0.1, "old", metric="val_loss"), score(0.1, "old", goal="minimize"), score(math.nan, "old")]
)
def test_a_champion_that_was_judged_otherwise_is_never_compared_with(champion: Score) -> None:
    verdict = judge(score(0.99, "new"), champion, METRIC, "maximize")
    assert not verdict.promote
    assert "compar" in verdict.reason


def test_an_improvement_that_is_no_number_never_promotes() -> None:
    assert not judge(score(0.99, "new"), None, METRIC, "maximize", math.nan).promote


values = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(a=values, b=values, asked=st.floats(0, 1e6), goal=st.sampled_from(["maximize", "minimize"]))
def test_two_models_are_never_both_better_than_each_other(
    a: float, b: float, asked: float, goal: Literal["maximize", "minimize"]
) -> None:
    one, two = score(a, "one", goal=goal), score(b, "two", goal=goal)
    both = [judge(one, two, METRIC, goal, asked).promote, judge(two, one, METRIC, goal, asked).promote]
    assert both != [True, True]
