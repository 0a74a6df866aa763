from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bowls import SPACE, Bowl, past_studies
from scipy.stats import spearmanr

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.past_studies import FEW_STUDIES, MAX_TRIALS, PastStudies

MakeStudy = Callable[..., StudyRecord]
UNIT = {"type": "float", "low": 0.0, "high": 1.0}


def mean_prediction(studies: list[StudyRecord], configs: list[dict[str, Any]], space: dict[str, Any] = SPACE) -> Any:
    cube = UnitCube(space)
    return PastStudies(studies, cube).predict(cube.columns(cube.rows(configs))).mean(axis=1)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_predictions_rank_a_held_out_studys_points_as_it_did(goal: str) -> None:
    """Low is good, whatever the past studies' goal."""
    sign = 1.0 if goal == "minimize" else -1.0
    held_out = Bowl(0).study(60)
    predicted = mean_prediction(past_studies(goal=goal), [trial.params for trial in held_out.trials])
    assert sign * spearmanr(predicted, [trial.value for trial in held_out.trials]).statistic > 0.85


def test_a_study_predicts_its_own_ranks_on_the_scale_of_a_standard_normal() -> None:
    study = Bowl(1).study(50)
    best_first = sorted(study.trials, key=lambda trial: trial.value or 0.0)
    predicted = mean_prediction([study], [trial.params for trial in best_first])
    assert predicted[0] < -1.5
    assert abs(predicted[25]) < 0.4
    assert predicted[-1] > 1.5


def test_scale_of_a_past_metric_does_not_matter() -> None:
    plain = Bowl(1).study()
    scaled = replace(plain, trials=tuple(replace(t, value=np.exp(9 * (t.value or 0.0))) for t in plain.trials))
    configs = [trial.params for trial in Bowl(0).study().trials]
    assert mean_prediction([scaled], configs).tolist() == mean_prediction([plain], configs).tolist()


def test_studies_that_share_some_parameters_ignore_the_others(make_study: MakeStudy) -> None:
    """``y`` is new to it, and so is ``kind``, which it knew as a number."""
    rng = np.random.default_rng(0)
    tried = [{"x": x, "kind": k, "old": o} for x, k, o in rng.random((30, 3)).tolist()]
    study = make_study([(p, -p["x"]) for p in tried], space=dict.fromkeys(("x", "kind", "old"), UNIT))
    space = {"x": UNIT, "y": UNIT, "kind": {"type": "categorical", "choices": ["a", "b"]}}
    line = np.linspace(0, 1, 5).tolist()
    low, high = (
        mean_prediction([study], [{"x": x, "y": y, "kind": kind} for x in line], space)
        for y, kind in ((0.4, None), (1.0, "b"))  # None is no choice: missing
    )
    assert low == pytest.approx(high, abs=1e-9)
    assert (np.diff(low) > 0).all()  # maximised -x: the smallest x is best


def test_each_study_predicts_from_the_parameters_that_it_shares(make_study: MakeStudy) -> None:
    whole = Bowl(1).study()
    part = make_study([({"x": i / 10}, i / 10) for i in range(11)], id="part", space={"x": UNIT})
    cube = UnitCube(SPACE)
    past = PastStudies([part, whole, replace(part, id="again")], cube)
    predicted = past.predict(cube.columns(cube.rows([{"x": 0.5, "y": y, "z": 0.5} for y in (0.1, 0.9)])))
    assert past.count == 3
    assert (np.ptp(predicted, axis=0) > 0.1).sum() == 1


def test_studies_with_nothing_in_common_too_few_trials_or_none_completed_are_left_out(make_study: MakeStudy) -> None:
    done: list[tuple[dict[str, Any], float | None]] = [({"x": i / 5}, float(i)) for i in range(5)]
    studies = [
        make_study(done, space={"x": UNIT}),
        make_study([({"a": 0.5}, 1.0)] * 5, space={"a": UNIT}),
        make_study([({"x": "b"}, 1.0)] * 5, space={"x": {"type": "categorical", "choices": ["b"]}}),
        make_study(done[:2], space={"x": UNIT}),
        make_study([(params, None) for params, _ in done], space={"x": UNIT}),
        make_study([], space={"x": UNIT}),
    ]
    assert PastStudies(studies, UnitCube(SPACE)).count == 1
    assert PastStudies(studies[1:], UnitCube(SPACE)).count == 0
    assert PastStudies([], UnitCube(SPACE)).count == 0


@pytest.mark.parametrize("trials", [(MAX_TRIALS + 200,), (700, 30, 700)])
def test_long_histories_are_thinned_and_keep_their_best(trials: tuple[int, ...]) -> None:
    cube = UnitCube(SPACE)
    studies = [Bowl(1 + index).study(count) for index, count in enumerate(trials)]
    rows = PastStudies(studies, cube).rows
    assert MAX_TRIALS // len(trials) <= len(rows) <= MAX_TRIALS
    for study in studies:
        best = study.best()
        assert best is not None
        assert cube.is_among(cube.rows([best.params]), rows).all()
    assert len(rows) == len(np.unique(rows, axis=0))


def test_failed_trials_of_the_past_are_predicted_to_be_bad(make_study: MakeStudy) -> None:
    study = make_study([({"x": i / 20}, None if i > 12 else 0.5 + i / 100) for i in range(21)], space={"x": UNIT})
    good, failed = mean_prediction([study], [{"x": 0.5}, {"x": 0.9}], {"x": UNIT})
    assert good < -0.5 < 0.5 < failed


def left_unknown(past: PastStudies, columns: Any) -> Any:
    learned = past.explained_factor(columns)
    return np.diag(past.prior_covariance(columns, columns) - learned @ learned.T)


def test_few_studies_leave_little_unknown_where_their_trials_are_and_much_elsewhere(make_study: MakeStudy) -> None:
    corner = [({"x": 0.02 * i, "y": 0.02 * j}, i - 0.5 * j) for i in range(5) for j in range(5)]
    study = make_study(corner, space={"x": UNIT, "y": UNIT})
    cube = UnitCube(study.space)
    at = cube.columns(cube.rows([{"x": 0.04, "y": 0.04}, {"x": 0.95, "y": 0.95}]))
    one = PastStudies([study], cube)
    near, far = left_unknown(one, at)
    assert 0.0 < near < 0.2 * far
    both = PastStudies([study, replace(study, id="again")], cube, kernel=one.kernel)
    assert left_unknown(both, at) == pytest.approx([near, far]), "the mean of both"


def test_of_many_studies_it_is_not_asked() -> None:
    columns = np.full((3, 3), 0.5)
    assert PastStudies(past_studies(FEW_STUDIES), UnitCube(SPACE)).explained_factor(columns).shape == (
        3,
        30 * FEW_STUDIES,
    )
    many = PastStudies(past_studies(FEW_STUDIES + 1), UnitCube(SPACE))
    assert not many.are_few
    assert many.explained_factor(columns).shape == (3, 0)


def led_study(number: int, led: int) -> StudyRecord:
    """So many of its 40 trials lie about the best configuration, the others at random."""
    bowl, rng = Bowl(number), np.random.default_rng(number)
    near = np.clip(bowl.lowest + 0.1 * rng.normal(size=(led, len(SPACE))), 0.0, 1.0)
    rows = np.vstack([near, rng.random((40 - led, len(SPACE)))])
    configs = [dict(zip(SPACE, row, strict=True)) for row in rows.tolist()]
    done = tuple(TrialRecord(n, each, TrialState.COMPLETED, bowl.value(each)) for n, each in enumerate(configs))
    return replace(bowl.study(), trials=done)


@pytest.mark.parametrize(
    ("led", "levels", "low", "high"),
    [(28, (1.0,), -1.4, -1.1), (0, (1.0,), -2.4, -1.8), (28, (0.5, 1.0), -2.4, -1.5)],
    ids=["led", "random", "led, with levels: what a training costs is in plain scores"],
)
def test_good_trials_of_studies_that_a_tuner_led_lie_closer_together(
    led: int, levels: tuple[float, ...], low: float, high: float
) -> None:
    """Most of them are nearly as good as the best, which ranks hide."""
    studies, cube = [led_study(number, led) for number in range(1, 5)], UnitCube(SPACE)
    best = cube.rows([min(study.trials, key=lambda trial: trial.value or 0.0).params for study in studies])
    predicted = np.diag(PastStudies(studies, cube, levels=levels).predict(cube.columns(best)))
    assert low < predicted.mean() < high
