from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bowls import SPACE, Bowl, past_studies

from spotwise.cost_models.arrays import Array
from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.gaussian_process import LOG_LENGTH_PRIOR
from spotwise.scheduler.tuning.model.kernels import LogNormalPrior
from spotwise.scheduler.tuning.model.past_studies import PastStudies
from spotwise.scheduler.tuning.model.single_study_gp import WIDE_LOG_LENGTH_PRIOR, SingleStudyGP
from spotwise.scheduler.tuning.model.transfer_gp import TransferGP
from spotwise.scheduler.tuning.model.trial_cost import TrialCostModel
from spotwise.scheduler.tuning.search.acquisition import (
    LOCAL_SEARCH_STARTS,
    MIN_LOG_ODDS_FOR_PAST,
    ScoredRows,
    Search,
    TriedTrials,
    _best_apart,
    _goes_without_past,
)
from spotwise.scheduler.tuning.search.portfolio import INITIAL_RANDOM_TRIALS

CUBE = UnitCube(SPACE)
NONE = np.zeros((0, 3))
HISTORIES = pytest.mark.parametrize(
    "history", [past_studies(), past_studies(goal="maximize"), []], ids=["related", "turned round", "none"]
)


def search(history: list[StudyRecord], cube: UnitCube = CUBE, seed: int = 0) -> Search:
    return Search(cube, PastStudies(history, cube), seed)


def tried(trials: int, pending: Array = NONE) -> TriedTrials:
    """On the new bowl."""
    done = sorted(Bowl(0).study(trials).trials, key=lambda trial: trial.value or 0.0)
    numbers = np.array([trial.number for trial in done], dtype=float)
    return TriedTrials(CUBE.rows([trial.params for trial in done]), numbers, pending, np.full(trials, np.nan))


def rng() -> np.random.Generator:
    return np.random.default_rng([0, 1])


@HISTORIES
@pytest.mark.parametrize("trials", [0, 3, 12])
def test_proposals_follow_from_the_seed_and_the_trials(history: list[StudyRecord], trials: int) -> None:
    row = search(history).propose(trials, tried(trials), rng())
    used = search(history)
    used.propose(7, tried(15), np.random.default_rng(8))
    assert row.tolist() == used.propose(trials, tried(trials), rng()).tolist()
    other = search(history, seed=1).propose(trials, tried(trials), np.random.default_rng(9))
    assert row.tolist() != other.tolist()
    assert ((row >= 0) & (row <= 1)).all()


def test_related_history_leads_near_the_lowest_point_after_three_trials() -> None:
    rows = [search(past_studies(), seed=seed).propose(3, tried(3), rng()) for seed in range(3)]
    assert all(Bowl(0).value(CUBE.config(row)) < 0.05 for row in rows)


def mean_value(history: list[StudyRecord], trials: int, seeds: int = 5) -> float:
    """Of what is proposed after so many trials."""
    rows = [search(history, seed=s).propose(1, tried(trials), np.random.default_rng([s, 1])) for s in range(seeds)]
    return float(np.mean([Bowl(0).value(CUBE.config(row)) for row in rows]))


def test_without_history_the_first_trials_are_random_and_later_ones_learn() -> None:
    assert mean_value([], 20) < 0.1 < mean_value([], INITIAL_RANDOM_TRIALS - 2)


def test_history_turned_round_leads_near_the_lowest_point_once_it_is_found_out() -> None:
    turned = past_studies(goal="maximize")
    assert mean_value(turned, 1, seeds=40) == mean_value([], 1, seeds=40) > 0.4  # as far as at random: 0.52 +- 0.06
    assert mean_value(turned, 4) < 0.05


@HISTORIES
def test_what_is_in_flight_moves_the_next_proposal_elsewhere(history: list[StudyRecord]) -> None:
    pending = NONE
    for _ in range(4):
        row = search(history).propose(20, tried(20, pending), rng())
        assert all(np.abs(row - other).max() > 0.005 for other in pending)
        pending = np.vstack([pending, row])
    assert np.ptp(pending, axis=0).max() > 0.1


def without_tops(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a grid."""
    monkeypatch.setattr(Search, "_with_local_maxima", lambda _self, _own, _incumbent, rows, gain, _tried: (rows, gain))


def test_neighbours_of_promising_rows_are_climbed_to_what_is_worth_more(monkeypatch: pytest.MonkeyPatch) -> None:
    without_tops(monkeypatch)
    climbed = search([]).scored_rows(1, tried(20), rng())
    monkeypatch.setattr("spotwise.scheduler.tuning.search.acquisition.LOCAL_SEARCH_WIDTHS", ())
    drawn = search([]).scored_rows(1, tried(20), rng())
    assert climbed is not None
    assert drawn is not None
    assert climbed.improvement.max() > 1.02 * drawn.improvement.max()


def best_gain(seed: int) -> float:
    found = search([], seed=seed).scored_rows(1, tried(20), np.random.default_rng(seed))
    assert found is not None
    return float(found.improvement.max())


def test_tops_gain_more_than_neighbours_at_random_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with_tops = np.array([best_gain(seed) for seed in range(4)])
    without_tops(monkeypatch)
    without = np.array([best_gain(seed) for seed in range(4)])
    assert (with_tops >= without).all()
    assert (with_tops > without).any()
    assert np.ptp(with_tops) < 0.01 * np.ptp(without)  # the top is one, wherever one begins


def test_tops_are_configurations_of_the_space() -> None:
    """What has few values stays as it was, and what has many is snapped to one of them."""
    space: dict[str, Any] = {
        "choice": {"type": "categorical", "choices": ["a", "b"]},
        "few": {"type": "int", "low": 1, "high": 4},
        "many": {"type": "int", "low": 0, "high": 100},
    }
    cube = UnitCube(space)
    draws = cube.random(12, np.random.default_rng(3))
    best_first = draws[np.argsort(np.abs(draws[:, 2] - 0.333), kind="stable")]
    over = TriedTrials(best_first, np.arange(12.0), best_first[:0], np.full(12, np.nan))
    found = search([], cube).scored_rows(1, over, rng())
    assert found is not None
    assert (np.abs(found.rows - cube.snapped(found.rows)) < 1e-9).all()
    assert {cube.config(row)["choice"] for row in found.rows} <= {"a", "b"}
    assert abs(cube.config(found.rows[found.choice(1)])["many"] - 33) < 10


AFAR, NEAR_BY, AS_WITH_A_PAST = (True, WIDE_LOG_LENGTH_PRIOR), (False, WIDE_LOG_LENGTH_PRIOR), (False, LOG_LENGTH_PRIOR)


def searched_by(one: Search, number: int, monkeypatch: pytest.MonkeyPatch) -> set[tuple[bool, LogNormalPrior]]:
    """Whether a trial that goes without the past asks for more than the best result as it was seen; and lengths."""
    asked = set[tuple[bool, LogNormalPrior]]()

    class Recorded(SingleStudyGP):
        def __init__(self, tried: Array, numbers: Array, pending: Array, length: LogNormalPrior) -> None:
            super().__init__(tried, numbers, pending, length)
            assert self.best < self.best_denoised
            self.length = length

        def misranked_share(self) -> float:
            return -1.0  # better than any past

        def expected_improvement(self, new: Array, incumbent: float) -> Array:
            asked.add((incumbent == self.best, self.length))
            return np.ones(len(new))

    monkeypatch.setattr("spotwise.scheduler.tuning.search.acquisition.SingleStudyGP", Recorded)
    one.scored_rows(number, tried(12), rng())
    return asked


@pytest.mark.parametrize(
    ("log_odds", "odd", "even"),
    [
        (-1.0, AFAR, NEAR_BY),
        (MIN_LOG_ODDS_FOR_PAST - 0.1, AFAR, NEAR_BY),
        (MIN_LOG_ODDS_FOR_PAST + 0.1, AS_WITH_A_PAST, AS_WITH_A_PAST),
    ],
    ids=["dropped", "in doubt", "counts"],
)
def test_while_the_past_is_in_doubt_every_other_trial_looks_far(
    log_odds: float, odd: Any, even: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransferGP, "log_odds", log_odds)
    assert searched_by(search(past_studies()), 13, monkeypatch) == {odd}
    assert searched_by(search(past_studies()), 14, monkeypatch) == {even}


def test_without_a_past_every_other_trial_looks_far_but_not_by_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    by_cost = Search(CUBE, PastStudies([], CUBE), 0, TrialCostModel([], CUBE))
    assert searched_by(search([]), 13, monkeypatch) == {AFAR}
    assert searched_by(search([]), 14, monkeypatch) == {NEAR_BY}
    assert searched_by(by_cost, 13, monkeypatch) == searched_by(by_cost, 14, monkeypatch) == {AS_WITH_A_PAST}


def test_several_summits_are_climbed() -> None:
    """A row near a better one is no summit of its own."""
    columns = np.array([[0.50], [0.51], [0.52], [0.90], [0.10]])
    assert _best_apart(np.array([5.0, 4.0, 3.0, 1.0, 2.0]), columns, 0.2) == [0, 4, 3]
    assert _best_apart(np.arange(100.0), np.linspace(0.0, 100.0, 100)[:, None], 0.2) == list(
        range(99, 99 - LOCAL_SEARCH_STARTS, -1)
    )


def opinion(wrong: float, log_odds: float = 0.0) -> Any:
    return SimpleNamespace(misranked_share=lambda: wrong, log_odds=log_odds)


@pytest.mark.parametrize(
    ("log_odds", "past_wrong", "own_wrong", "without"),
    [
        (-0.1, 0.1, 0.4, 20),
        (0.1, 0.1, None, 10),
        (5.0, 0.1, None, 0),
        (5.0, 0.1, 0.4, 4),
        (5.0, 0.2, 0.2, 4),
        (0.1, 0.1, 0.4, 10),
        (5.0, 0.4, 0.1, 15),
        (0.1, 0.4, 0.1, 20),
    ],
)
def test_so_many_of_twenty_trials_go_without_the_past(
    log_odds: float, past_wrong: float, own_wrong: float | None, without: int
) -> None:
    own = None if own_wrong is None else opinion(own_wrong)
    assert sum(_goes_without_past(n, opinion(past_wrong, log_odds), own) for n in range(20)) == without


GRID: dict[str, Any] = {
    "a": {"type": "int", "low": 1, "high": 4, "log": True},
    "b": {"type": "categorical", "choices": [True, 1]},
    "c": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1},
    "d": {"type": "float", "low": 5.0, "high": 5.0},
}


def grid_history(make_study: Any) -> list[StudyRecord]:
    """Its values lie between the new space's."""
    draws = np.random.default_rng(0).random((30, 2)).tolist()
    space = {"a": {"type": "float", "low": 1.0, "high": 4.0}, "c": {"type": "float", "low": 0.1, "high": 0.3}}
    return [make_study([({"a": 1 + 3 * a, "c": 0.1 + 0.2 * c}, -a - c) for a, c in draws], space=space)]


@pytest.mark.parametrize("with_history", [False, True])
@pytest.mark.parametrize("in_flight", [False, True])
def test_nothing_is_proposed_twice_while_something_is_left(
    make_study: Any, with_history: bool, in_flight: bool
) -> None:
    cube = UnitCube(GRID)
    one = search(grid_history(make_study) if with_history else [], cube)
    whole = [{"a": a, "b": b, "c": c, "d": 5.0} for a in (1, 2, 3, 4) for b in (True, 1) for c in (0.1, 0.2, 0.3)]
    known = cube.rows(whole[::3])
    done, pending = (known[:4], known[4:]) if in_flight else (known, known[:0])
    seen = [str(cube.config(row)) for row in known]
    while len(seen) < len(whole):
        row = one.propose(
            len(seen),
            TriedTrials(done, np.arange(len(done)), pending, np.full(len(done), np.nan)),
            np.random.default_rng(len(seen)),
        )
        assert str(cube.config(row)) not in seen
        seen.append(str(cube.config(row)))
        done, pending = (done, np.vstack([pending, row])) if in_flight else (np.vstack([done, row]), pending)
    again = one.propose(len(seen), TriedTrials(done, np.arange(len(done)), pending, np.full(len(done), np.nan)), rng())
    assert str(cube.config(again)) in seen


def test_every_third_trial_counts_the_gain_only_within_what_is_affordable() -> None:
    gain, cost = np.array([1.0, 2.0, 6.0, -np.inf]), np.array([1.0, 4.0, 90.0, 0.5])
    rows = np.zeros((4, 3))
    rich, poor = (ScoredRows(rows, gain, cost, np.zeros(5), spent) for spent in (50.0, 6.0))
    assert [rich.choice(number) for number in range(3)] == [0, 0, 1]
    assert [poor.choice(number) for number in range(3)] == [0, 0, 0]
    assert ScoredRows(rows, gain, cost, np.zeros(5), 1000.0).choice(5) == 2


def test_a_random_row_that_was_tried_already_is_drawn_again() -> None:
    drawn = np.random.default_rng(0).random((1, 3))
    before = TriedTrials(drawn, np.zeros(1), NONE, np.full(1, np.nan))
    assert not CUBE.is_among(search([]).at_random(before, np.random.default_rng(0))[None], drawn)[0]
