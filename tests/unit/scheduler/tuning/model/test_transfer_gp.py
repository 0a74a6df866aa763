from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bowls import SPACE, Bowl, past_studies

from spotwise.cost_models.arrays import Array
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning.model import transfer_gp
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.past_studies import PastStudies
from spotwise.scheduler.tuning.model.single_study_gp import SingleStudyGP, fitted_kernel
from spotwise.scheduler.tuning.model.transfer_gp import PointFeatures, TransferGP
from spotwise.scheduler.tuning.search.acquisition import MIN_LOG_ODDS_FOR_PAST

CUBE = UnitCube(SPACE)
NONE = np.zeros((0, 3))


def best_first(trials: int) -> Array:
    """Columns of what was tried on the new bowl."""
    done = sorted(Bowl(0).study(trials).trials, key=lambda trial: trial.value or 0.0)
    return CUBE.columns(CUBE.rows([trial.params for trial in done]))


def log_odds(studies: list[StudyRecord], trials: int) -> float:
    past, tried = PastStudies(studies, CUBE), best_first(trials)
    return TransferGP(past, PointFeatures.of(past, tried)).log_odds


@pytest.mark.parametrize("trials", [6, 12, 25])
def test_related_studies_count_and_the_more_so_the_more_was_tried(trials: int) -> None:
    assert log_odds(past_studies(), trials) > MIN_LOG_ODDS_FOR_PAST
    assert log_odds(past_studies(), 2 * trials) > log_odds(past_studies(), trials)


@pytest.mark.parametrize("trials", [6, 12, 25])
def test_studies_turned_round_say_where_it_is_good_by_where_they_say_it_is_bad(trials: int) -> None:
    turned = past_studies(goal="maximize")
    assert log_odds(turned, trials) > MIN_LOG_ODDS_FOR_PAST
    assert log_odds(turned, trials) < log_odds(past_studies(), trials)
    past, new = PastStudies(turned, CUBE), CUBE.random(200, np.random.default_rng(3))
    gain, _ = gains(past, best_first(trials), NONE, CUBE.columns(new))
    values = [Bowl(0).value(CUBE.config(row)) for row in new]
    assert values[int(np.argmax(gain))] < np.quantile(values, 0.1)


def shuffled() -> list[StudyRecord]:
    """Studies whose results say nothing."""
    rng = np.random.default_rng(0)
    return [
        replace(study, trials=tuple(replace(t, value=float(v)) for t, v in zip(study.trials, values, strict=True)))
        for study in past_studies()
        for values in [rng.permutation([t.value or 0.0 for t in study.trials])]
    ]


@pytest.mark.parametrize("trials", [12, 25])
def test_studies_of_nothing_that_is_like_it_do_not_count(trials: int) -> None:
    assert log_odds(shuffled(), trials) < MIN_LOG_ODDS_FOR_PAST


def test_one_trial_says_little_for_the_past_or_against_it() -> None:
    assert abs(log_odds(past_studies(), 1)) < 3.0


@pytest.mark.parametrize(("past", "against", "expected"), [(-744.5, 0.0, -744), (0.0, -744.5, 744), (0.0, -9e9, 9e9)])
def test_log_odds_are_a_number_however_sure_they_are(
    monkeypatch: pytest.MonkeyPatch, past: float, against: float, expected: float
) -> None:
    """One assumption with the past, all without it."""
    first = transfer_gp.HYPOTHESES[0]

    def evidence(_: object, assumed: object) -> Array:
        log = past if assumed is first else -math.inf if assumed.uses_past else against  # type: ignore[attr-defined]
        return np.array([log, log])

    monkeypatch.setattr(transfer_gp._Likelihoods, "log_posterior", evidence)
    found = log_odds(past_studies(1), 3)
    assert found == pytest.approx(expected, abs=3)


def gains(past: PastStudies, tried: Array, pending: Array, new: Array) -> tuple[Array, Array]:
    """With the past, and without."""
    points = [PointFeatures.of(past, columns) for columns in (tried, pending, new)]
    numbers = np.arange(len(tried), dtype=float)
    own = SingleStudyGP(tried, numbers, pending)
    return TransferGP(past, points[0]).expected_improvement(points[1], points[2]), own.expected_improvement(
        new, own.best_denoised
    )


def test_where_one_past_study_never_looked_something_may_be_gained() -> None:
    """Else a sweep would try nothing but neighbours of a small study's best."""
    corner = [{"x": 0.05 * i, "y": 0.05 * j, "z": 0.1} for i in range(4) for j in range(4)]
    done = tuple(TrialRecord(n, config, TrialState.COMPLETED, Bowl(1).value(config)) for n, config in enumerate(corner))
    past = PastStudies([replace(Bowl(1).study(), trials=done)], CUBE)
    tried = CUBE.columns(CUBE.rows(sorted(corner[::3], key=Bowl(0).value)))
    beside_the_best, far_away = tried[:1] + np.array([0.0, 0.0, 0.02]), np.full((1, 3), 0.9)
    near, far = gains(past, tried, NONE, np.vstack([beside_the_best, far_away]))[0]
    assert 0.1 * near < far < near


def test_most_is_expected_near_the_lowest_point_with_the_past_and_without() -> None:
    new = np.vstack([Bowl(0).lowest[None], np.array([[0.9, 0.1, 0.9], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])])
    for gain in gains(PastStudies(past_studies(), CUBE), best_first(25), NONE, new):
        assert (gain >= 0.0).all()
        assert int(np.argmax(gain)) == 0
        assert gain[0] > 3 * gain[1:].max()


def test_what_is_in_flight_leaves_less_to_expect_there() -> None:
    past, tried = PastStudies(past_studies(), CUBE), best_first(12)
    new = np.array([[0.3, 0.6, 0.4]])
    for idle, busy in zip(gains(past, tried, NONE, new), gains(past, tried, new, new), strict=True):
        assert 0.0 < busy[0] < 0.999 * idle[0]


def test_what_is_expected_is_a_mean_over_assumptions_and_not_their_sum() -> None:
    """It is weighed against money."""
    past, tried = PastStudies(past_studies(), CUBE), best_first(8)
    model, pending, new = (
        TransferGP(past, PointFeatures.of(past, tried)),
        PointFeatures.of(past, NONE),
        PointFeatures.of(past, tried + 0.02),
    )
    each = [
        model._likelihoods.expected_improvement([one], pending, new)
        for one in model._weighted[: transfer_gp.HYPOTHESES_USED]
    ]
    assert len(each) > 1
    assert (model.expected_improvement(pending, new) <= np.max(each, axis=0) + 1e-12).all()
    assert (model.expected_improvement(pending, new) >= np.min(each, axis=0) - 1e-12).all()


def test_without_the_past_the_best_trials_count_as_close_together() -> None:
    """They are where the search has been; as normal scores they would lie further apart than all the others."""
    scores = SingleStudyGP(best_first(25), np.arange(25.0), NONE).scores
    assert scores[1] - scores[0] < scores[-1] - scores[-2]


def test_past_that_says_nothing_of_a_study_predicts_its_trials_worse_than_they_predict_each_other() -> None:
    tried = best_first(25)
    own = SingleStudyGP(tried, np.arange(25.0), NONE).misranked_share()
    pasts = [PastStudies(studies, CUBE) for studies in (shuffled(), past_studies())]
    misled, led = (TransferGP(past, PointFeatures.of(past, tried)).misranked_share() for past in pasts)
    assert own < 0.2 < misled
    assert led < 0.2


def test_kernel_is_learned_anew_only_when_a_study_has_grown_by_a_seventh() -> None:
    learned = [fitted_kernel(best_first(25)[:n], np.arange(n, dtype=float)) for n in range(2, 26)]
    changes = sum(a is not b for a, b in pairwise(learned))
    assert 10 < changes < 18
    assert learned[0] is not learned[-1]
