"""What trials cost: predicted from past studies and this one's, and what the choice makes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from bowls import Bowl, past_studies

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.trial_cost import MAX_LOG_RATIO, TrialCostModel, whole_seconds
from spotwise.scheduler.tuning.search.portfolio import choose

SPACE: dict[str, dict[str, Any]] = {
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
}
CUBE = UnitCube(SPACE)
NOTHING = np.zeros(0)


def columns(*configs: dict[str, Any]) -> Any:
    return CUBE.columns(CUBE.rows(configs))


def widths(*values: int) -> Any:
    return columns(*({"width": width, "optimizer": "adam"} for width in values))


def past(make_study: Any, seconds_per_width: float, trials: int = 12) -> StudyRecord:
    """A trial takes time in proportion to its width, on a machine of its own."""
    drawn = np.exp(np.random.default_rng(3).uniform(math.log(8), math.log(512), trials)).astype(int).tolist()
    study: StudyRecord = make_study([({"width": w, "optimizer": "adam"}, 0.5) for w in drawn], space=SPACE)
    slow = tuple(replace(t, seconds=seconds_per_width * t.params["width"]) for t in study.trials)
    return replace(study, trials=slow)


def test_past_studies_tell_how_costs_relate_whatever_their_machines_were(make_study: Any) -> None:
    costs = TrialCostModel([past(make_study, 2.0), past(make_study, 300.0)], CUBE)
    narrow, wide = costs.predict(widths(16, 256), widths(), NOTHING)
    assert wide / narrow == pytest.approx(16.0, rel=0.3)
    assert 0.1 < narrow < 1.0 < wide < 10.0, "an average configuration costs 1"


def test_one_trial_of_this_study_says_what_they_cost_here(make_study: Any) -> None:
    costs = TrialCostModel([past(make_study, 2.0)], CUBE)
    found = costs.predict(widths(16, 256), widths(64), np.array([640.0]))
    assert found == pytest.approx([160.0, 2560.0], rel=0.3)


def test_this_studys_trials_correct_what_the_past_says(make_study: Any) -> None:
    """There the optimizer changed nothing; here one of them takes ten times as long."""
    configs = [{"width": w, "optimizer": o} for w in (16, 32, 64, 128, 256) for o in ("adam", "sgd")]
    took = np.array([c["width"] * (10.0 if c["optimizer"] == "sgd" else 1.0) for c in configs])
    new = columns({"width": 90, "optimizer": "adam"}, {"width": 90, "optimizer": "sgd"})
    found = TrialCostModel([past(make_study, 2.0)], CUBE).predict(new, columns(*configs), took)
    assert found == pytest.approx([90.0, 900.0], rel=0.4)


def test_without_past_studies_this_ones_trials_tell(make_study: Any) -> None:
    few = [8, 20, 50, 120, 300, 512]
    found = TrialCostModel([], CUBE).predict(widths(30, 200), widths(*few), np.array(few, dtype=float))
    assert found == pytest.approx([30.0, 200.0], rel=0.4)
    assert TrialCostModel([], CUBE).predict(widths(30, 200), widths(), NOTHING).tolist() == [1.0, 1.0]


def test_what_has_nothing_to_do_with_the_configuration_is_not_learned() -> None:
    """Preemptions, say: a few costly trials do not make their neighbours costly."""
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.uniform(math.log(8), math.log(512), 40)).astype(int).tolist()
    took = np.where(rng.random(40) < 0.2, 50.0, 10.0)
    found = TrialCostModel([], CUBE).predict(widths(10, 60, 400), widths(*drawn), took)
    assert np.ptp(np.log(found)) < math.log(1.6)


def test_absurd_and_unknown_costs_do_no_harm(make_study: Any) -> None:
    took = np.array([math.nan, 0.0, -3.0, math.inf, 1e-9, 1e9])
    found = TrialCostModel([past(make_study, 2.0)], CUBE).predict(
        widths(8, 512), widths(9, 20, 60, 120, 300, 500), took
    )
    assert np.isfinite(found).all()
    assert found.max() / found.min() <= math.exp(2 * MAX_LOG_RATIO)
    assert TrialCostModel([past(make_study, 0.0)], CUBE).predict(widths(8, 512), widths(), NOTHING).tolist() == [
        1.0,
        1.0,
    ]


def test_a_stopped_trial_counts_at_its_pace() -> None:
    assert whole_seconds(30.0, 9, 9, completed=True) == 30.0
    assert whole_seconds(10.0, 3, 9, completed=False) == pytest.approx(30.0)
    assert whole_seconds(10.0, 12, 9, completed=False) == 10.0, "it went further than most"
    assert whole_seconds(10.0, 0, 9, completed=False) is None
    assert whole_seconds(10.0, 3, None, completed=False) is None
    assert whole_seconds(0.0, 3, 9, completed=True) is None


def test_stopped_trials_of_past_studies_are_learned_from(make_study: Any) -> None:
    def ended(trial: TrialRecord) -> TrialRecord:
        if trial.number % 2:
            return replace(trial, epoch=8)
        return replace(trial, epoch=2, seconds=trial.seconds / 4, state=TrialState.PRUNED)

    study = past(make_study, 2.0)
    halved = replace(study, trials=tuple(ended(trial) for trial in study.trials))
    here = (widths(16, 256), widths(), NOTHING)
    assert TrialCostModel([halved], CUBE).predict(*here) == pytest.approx(TrialCostModel([study], CUBE).predict(*here))


def dear_on_the_right(study: StudyRecord) -> StudyRecord:
    """The costs of its trials rise a hundredfold with x."""
    return replace(study, trials=tuple(replace(t, seconds=100.0 ** t.params["x"]) for t in study.trials))


def test_of_two_that_are_as_good_the_cheaper_is_tried_first(make_study: Any) -> None:
    line = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    at = [i / 20 for i in range(21)]
    twins = [
        make_study([({"x": x}, -min(abs(x - 0.2), abs(x - 0.8) - 0.01)) for x in at], space=line, id=i) for i in "ab"
    ]
    past = [dear_on_the_right(study) for study in twins]
    assert choose(past, line, 1)[0].params["x"] == pytest.approx(0.8)
    assert 0.1 < choose(past, line, 1, by_cost=True)[0].params["x"] < 0.3


@pytest.mark.slow
def test_a_sweep_that_counts_costs_gets_as_far_for_less() -> None:
    """On bowls whose lowest points lie at a quarter of a range over which costs rise a hundredfold."""

    def spent_until_good(seed: int, *, counts: bool) -> float:
        past = [dear_on_the_right(study) for study in past_studies()]
        cost_of = (lambda trial: 100.0 ** trial.params["x"]) if counts else None
        sampler = TransferSampler(past, seed=seed, cost_of=cost_of)
        study, spent = optuna.create_study(sampler=sampler), 0.0
        while True:
            study.optimize(Bowl(100 + seed).objective, 1)
            spent += 100.0 ** study.trials[-1].params["x"]
            if study.best_value < 0.01:
                return spent

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plain, by_cost = (sum(spent_until_good(s, counts=counts) for s in range(6)) for counts in (False, True))
    assert by_cost < 0.7 * plain


def test_what_the_next_trial_is_expected_to_cost_is_told_in_mean_trials() -> None:
    sampler = TransferSampler(seed=0, cost_of=lambda trial: 3600.0 * 100.0 ** trial.params["x"])
    study = optuna.create_study(sampler=sampler)
    study.optimize(Bowl(0).objective, 12)
    expected = sampler.expected(study)
    assert expected is not None
    study.optimize(Bowl(0).objective, 1)
    *before, next_ = (100.0 ** trial.params["x"] for trial in study.trials)
    assert expected.cost == pytest.approx(next_ / np.mean(before), rel=0.5)
    assert expected.gain > 0.0


def test_past_optuna_studies_tell_costs_too() -> None:
    past = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    past.optimize(Bowl(1).objective, 30)
    firsts = [
        TransferSampler([past], seed=0, portfolio_size=1, cost_of=cost).prior(0)
        for cost in (None, lambda trial: 100.0 ** trial.params["x"], lambda _: None)
    ]
    assert firsts[0] == firsts[2]
    assert firsts[0] is not None
    assert firsts[1] is not None
