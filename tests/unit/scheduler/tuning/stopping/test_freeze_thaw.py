"""Which trial goes on, on tasks that are made up: bowls whose results come nearer to their end with each level."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from bowls import SPACE, Bowl, past_studies

from spotwise.cost_models.arrays import Array
from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.past_studies import PastStudies
from spotwise.scheduler.tuning.model.trial_cost import TrialCostModel
from spotwise.scheduler.tuning.search.portfolio import choose
from spotwise.scheduler.tuning.stopping.freeze_thaw import Continue, FreezeThaw, Start, StartedTrials

LEVELS = (0.125, 0.25, 0.5, 1.0)
CUBE = UnitCube(dict(sorted(SPACE.items())))


def curve(bowl: Bowl, row: Array) -> Array:
    """What it is at each level: high at first, and its own part of that changes with the configuration a little."""
    end = bowl.value(CUBE.config(row))
    wobble = np.random.default_rng(zlib.crc32(row.tobytes())).normal(size=4) * 0.03
    return np.array([end + (0.3 + w) * (1.0 - level) for level, w in zip(LEVELS, wobble, strict=True)])


def with_curves(study: StudyRecord) -> StudyRecord:
    bowl = Bowl(int(study.id.removeprefix("bowl-")))
    trials = []
    for trial in study.trials:
        values = curve(bowl, CUBE.rows([trial.params])[0])
        points = tuple((round(8 * level), float(v)) for level, v in zip(LEVELS, values, strict=True))
        trials.append(replace(trial, curve=points, epoch=8))
    return replace(study, trials=tuple(trials))


def freezing(past: list[StudyRecord], first: int = 0) -> FreezeThaw:
    rows = CUBE.rows([config.params for config in choose(past, SPACE, first)])
    return FreezeThaw(CUBE, PastStudies(past, CUBE, levels=LEVELS), LEVELS, rows, seed=0)


def begun(*trials: tuple[list[float], list[float]], running: int | None = None) -> StartedTrials:
    rows = np.array([row for row, _ in trials]).reshape(-1, 3)
    results = np.full((len(trials), 4), np.nan)
    for line, (_, seen) in zip(results, trials, strict=True):
        line[: len(seen)] = seen
    return StartedTrials(rows, results, np.isnan(results[:, -1]), np.full(len(rows), np.nan), running)


def play(chooser: FreezeThaw, budget: float, most: int = 99) -> tuple[float, list[int], float]:
    """The best end that was seen, levels that each trial reached, and whole trainings spent."""
    state, spent, best = begun(), 0.0, np.inf
    curves: list[Array] = []
    costs = np.diff(np.append(0.0, LEVELS))
    while spent < budget:
        choice = chooser.choose(state, may_begin=len(state.rows) < most)
        if choice is None:
            break
        rows, results = state.rows, state.results
        if isinstance(choice, Start):
            rows, results = np.vstack([rows, choice.row]), np.vstack([results, np.full((1, 4), np.nan)])
            curves.append(curve(Bowl(0), choice.row))
        place = choice.place if isinstance(choice, Continue) else len(rows) - 1
        level = int((~np.isnan(results[place])).sum())
        results[place, level] = curves[place][level]
        spent += costs[level]
        best = min(best, results[place, -1]) if level == 3 else best
        state = StartedTrials(rows, results, np.isnan(results[:, -1]), np.full(len(rows), np.nan), place)
    return best, state.reached.tolist(), spent


def test_most_trials_are_left_early_and_the_best_go_to_their_end() -> None:
    best, reached, spent = play(freezing([]), 8.0)
    assert best < 0.05
    assert len(reached) > 12
    assert 1 <= reached.count(3) < len(reached) / 3
    assert spent >= 8.0


def test_past_studies_and_their_curves_save_most_of_the_training() -> None:
    past = [with_curves(study) for study in past_studies(6)]
    assert play(freezing(past, first=2), 3.0)[0] < 0.7 * play(freezing([]), 3.0)[0]


def test_it_ends_by_itself_once_nothing_is_worth_its_cost() -> None:
    _, reached, spent = play(freezing([with_curves(study) for study in past_studies(4)], first=2), 99.0, most=8)
    assert len(reached) == 8
    assert 3 in reached
    assert spent < 8.0, "not every trial went to its end"


def test_a_leader_goes_on_and_one_far_behind_does_not() -> None:
    others = [([0.1 * n, 0.5, 0.9], [2.0 + n, 1.9 + n]) for n in range(6)]
    chooser = freezing([])
    assert chooser.choose(begun(([0.3, 0.7, 0.4], [0.1, 0.05]), *others, running=0), may_begin=False) == Continue(0)
    last = begun(([0.9, 0.1, 0.1], [9.0, 9.0]), *others, running=0)
    assert chooser.choose(last, may_begin=False) != Continue(0)


def test_choices_follow_from_what_was_seen_alone() -> None:
    state = begun(*(([0.1 * n, 0.3, 0.5], [float(n)]) for n in range(7)))
    one, other = (freezing([]).choose(state, may_begin=True) for _ in range(2))
    assert repr(one) == repr(other)


def test_failed_trials_never_go_on_and_teach_where_not_to_go() -> None:
    crashed = [([0.9 + 0.01 * n, 0.9, 0.9], [np.inf]) for n in range(4)]
    state = begun(*crashed, *(([0.1 * n, 0.3, 0.5], [0.5]) for n in range(4)))
    state = replace(state, may_continue=np.array([False] * 4 + [True] * 4))
    for _ in range(3):
        choice = freezing([]).choose(state, may_begin=True)
        assert choice is not None
        row = state.rows[choice.place] if isinstance(choice, Continue) else choice.row
        assert row[0] < 0.85 or row[1] < 0.7


def test_trials_under_way_are_not_proposed_again() -> None:
    past = [with_curves(study) for study in past_studies(4)]
    chooser, state = freezing(past, first=2), begun()
    for _ in range(5):  # five places at once, before any result
        choice = chooser.choose(state, may_begin=True)
        assert isinstance(choice, Start)
        rows = np.vstack([state.rows, choice.row])
        state = StartedTrials(
            rows, np.full((len(rows), 4), np.nan), np.zeros(len(rows), dtype=bool), np.full(len(rows), np.nan)
        )
    assert len(np.unique(state.rows.round(3), axis=0)) == 5


@pytest.mark.parametrize("may_begin", [True, False])
def test_nothing_free_and_nothing_to_begin(may_begin: bool) -> None:
    chooser = freezing([])
    assert chooser.choose(begun(), may_begin=False) is None
    assert isinstance(chooser.choose(begun(), may_begin=True), Start) is may_begin or not may_begin


def test_new_trials_are_cheaper_where_costs_count() -> None:
    """They rise a hundredfold with x; the history's lowest points lie at a quarter of its range."""
    dear = [
        replace(s, trials=tuple(replace(t, seconds=100.0 ** t.params["x"]) for t in s.trials)) for s in past_studies()
    ]
    past, rows = PastStudies(dear, CUBE, levels=LEVELS), CUBE.random(6, np.random.default_rng(1))
    results = np.array([curve(Bowl(0), row) for row in rows])
    state = StartedTrials(rows, results, np.zeros(6, dtype=bool), 100.0 ** rows[:, CUBE.names.index("x")])
    begins = [
        [
            FreezeThaw(CUBE, past, LEVELS, rows[:0], seed=seed, costs=costs).choose(state, may_begin=True)
            for seed in range(8)
        ]
        for costs in (None, TrialCostModel(dear, CUBE))
    ]
    plain, by_cost = (
        [choice.row[CUBE.names.index("x")] for choice in each if isinstance(choice, Start)] for each in begins
    )
    assert len(plain) == len(by_cost) == 8
    assert np.mean(by_cost) < np.mean(plain) - 0.03
