"""What early results are worth, as past curves tell."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.fidelities import assumed_correlations, scores_at, value_at
from spotwise.scheduler.tuning.model.past_studies import PastStudies
from spotwise.scheduler.tuning.model.rank_scores import ranked

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def study(curves: list[list[float]], goal: str = "maximize", name: str = "past") -> StudyRecord:
    """One trial a curve, an epoch a value; one that is shorter than the longest was pruned."""
    whole = max(map(len, curves))
    trials = tuple(
        TrialRecord(
            number,
            {"x": number / len(curves)},
            TrialState.COMPLETED if len(values) == whole else TrialState.PRUNED,
            values[-1],
            len(values),
            tuple(enumerate(values, start=1)),
        )
        for number, values in enumerate(curves)
    )
    return StudyRecord(name, "job", "accuracy", goal, SPACE, datetime(2026, 1, 1, tzinfo=UTC), trials=trials)


def test_each_level_has_an_order_of_its_own() -> None:
    """The second trial leads after half of the epochs and the first at the end; the third never came so far."""
    past = study([[0.1, 0.2, 0.3, 0.9], [0.2, 0.7, 0.7, 0.8], [0.5]])
    scores = scores_at(past, (0.25, 0.5, 1.0), ranked(past.trials, past.goal))
    assert np.argsort(scores, axis=0).T.tolist() == [[2, 1, 0], [1, 0, 2], [0, 1, 2]]


def test_a_metric_to_be_minimised_is_read_the_other_way() -> None:
    up, down = study([[0.1, 0.9], [0.4, 0.5]]), study([[-0.1, -0.9], [-0.4, -0.5]], goal="minimize")
    for past in (up, down):
        assert (
            scores_at(past, (0.5, 1.0), ranked(past.trials, past.goal))[0] == [scores_of_two()[1], scores_of_two()[0]]
        ).all()


def scores_of_two() -> list[float]:
    past = study([[1.0], [0.0]])
    return [float(score) for score in scores_at(past, (1.0,), ranked(past.trials, past.goal))[:, 0]]


def test_without_curves_all_levels_are_the_last() -> None:
    past = study([[0.1], [0.3], [0.2]])
    scores = scores_at(past, (0.1, 0.5, 1.0), ranked(past.trials, past.goal))
    assert (scores == scores[:, -1:]).all()


@pytest.mark.parametrize(("crossing", "low", "high"), [(False, 0.9, 1.0), (True, -0.5, 0.5)])
def test_how_much_an_early_result_is_worth_is_learned(crossing: bool, low: float, high: float) -> None:
    """Curves that keep their order, and ones whose first half says nothing of the second."""
    rng = np.random.default_rng(0)
    studies = []
    for number in range(6):
        ends = rng.random(30)
        starts = rng.permutation(ends) if crossing else ends - 0.1
        studies.append(study([[float(s), float(e)] for s, e in zip(starts, ends, strict=True)], name=f"past-{number}"))
    past = PastStudies(studies, UnitCube(SPACE), levels=(0.5, 1.0))
    assert low < past.level_correlations.scores[0, 1] < high + 1e-9
    assert low < past.level_correlations.residuals[0, 1] < high + 1e-9


def test_before_any_curve_was_seen_nearer_levels_agree_more() -> None:
    orders = assumed_correlations((0.1, 0.5, 1.0)).scores
    assert orders[0, 2] < orders[1, 2] < orders[2, 2] == 1.0


def test_value_at_an_epoch_that_was_not_reported_is_the_next_one() -> None:
    assert value_at([(2, 0.5), (4, 0.7)], 3) == 0.7
    assert value_at([(2, 0.5), (4, 0.7)], 5) is None
