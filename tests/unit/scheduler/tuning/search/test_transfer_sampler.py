from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning import TransferSampler

MakeStudy = Callable[..., StudyRecord]
optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    penalty = {"a": 0.0, "b": 0.5}[str(trial.suggest_categorical("kind", ["a", "b"]))]
    return (x - 0.3) ** 2 + penalty + 0.01 * trial.suggest_int("n", 1, 9)


def past_study(sign: float = 1.0) -> optuna.Study:
    study = optuna.create_study(
        direction="minimize" if sign > 0 else "maximize", sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(lambda trial: sign * objective(trial), 30)
    return study


def proposals(sampler: TransferSampler, trials: int = 14) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, trials)
    return [trial.params for trial in study.trials]


def test_starts_with_the_best_of_the_past_and_is_reproducible() -> None:
    past = past_study()
    first = proposals(TransferSampler([past], seed=3))
    assert first[0] == past.best_params
    assert first == proposals(TransferSampler([past], seed=3))
    assert first != proposals(TransferSampler([past], seed=4))


def test_past_study_is_read_by_its_own_direction() -> None:
    assert proposals(TransferSampler([past_study(-1.0)], seed=0), 10) == proposals(
        TransferSampler([past_study()], seed=0), 10
    )


def test_restart_proposes_what_it_would_have_proposed() -> None:
    """A new sampler over the same finished trials goes on as the old one: it has no memory to lose."""
    past = past_study()
    whole = optuna.create_study(sampler=TransferSampler([past], seed=5))
    whole.optimize(objective, 16)
    restarted = optuna.create_study(sampler=TransferSampler([past], seed=5))
    restarted.add_trials(whole.trials[:12])
    restarted.optimize(objective, 4)
    assert [each.params for each in restarted.trials[12:]] == [each.params for each in whole.trials[12:]]


def test_one_sampler_keeps_two_studies_apart() -> None:
    """Trials of the same number are others."""
    shared, past = (
        TransferSampler([past_study()], seed=5),
        optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=9)),
    )
    optuna.create_study(sampler=shared).optimize(objective, 8)
    past.optimize(objective, 8)
    proposed = []
    for sampler in (shared, TransferSampler([past_study()], seed=5)):
        study = optuna.create_study(sampler=sampler)
        study.add_trials(past.trials)
        study.optimize(objective, 2)
        proposed.append([trial.params for trial in study.trials[8:]])
    assert proposed[0] == proposed[1]


def test_missing_parameters_are_drawn_within_the_new_space() -> None:
    sampler = TransferSampler([past_study()], seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "x": optuna.distributions.FloatDistribution(0.5, 0.6),
        "momentum": optuna.distributions.FloatDistribution(0.0, 1.0),
        "kind": optuna.distributions.CategoricalDistribution(["b", "c"]),
    }
    for value in range(14):
        trial = study.ask(space)
        assert 0.5 <= trial.params["x"] <= 0.6
        assert trial.params["kind"] in ("b", "c")
        study.tell(trial, float(value))
    assert study.trials[0].params["x"] == 0.5  # the past optimum, moved to the bound
    assert len({trial.params["momentum"] for trial in study.trials[:5]}) == 5


def test_null_of_the_past_is_tried_as_any_other_value(make_study: MakeStudy) -> None:
    space = {"decay": {"type": "categorical", "choices": [None, "linear", "cosine", "step"]}}
    past = make_study([({"decay": None}, 0.9), ({"decay": "linear"}, 0.1), ({"decay": "cosine"}, 0.1)], space=space)
    for seed in range(8):  # drawn at random, it would be another value for one of these
        study = optuna.create_study(sampler=TransferSampler([past], seed=seed))
        distribution = optuna.distributions.CategoricalDistribution((None, "linear", "cosine", "step"))
        assert study.ask({"decay": distribution}).params == {"decay": None}


def test_without_history_it_searches_as_tpe_does() -> None:
    study = optuna.create_study(sampler=TransferSampler(seed=0))
    study.optimize(objective, 40)
    peer = optuna.create_study(sampler=TPESampler(seed=0))
    peer.optimize(objective, 40)
    assert study.best_value < 0.05
    assert abs(study.best_value - peer.best_value) < 0.05


def test_failed_pruned_and_parallel_trials() -> None:
    sampler = TransferSampler([past_study()], seed=0, portfolio_size=2)
    study = optuna.create_study(sampler=sampler)
    waiting = [study.ask() for _ in range(4)]
    for trial in waiting:
        objective(trial)
    study.tell(waiting[0], state=optuna.trial.TrialState.FAIL)
    waiting[1].report(0.5, step=1)
    study.tell(waiting[1], state=optuna.trial.TrialState.PRUNED)
    study.optimize(objective, 12)
    assert len({str(sorted(trial.params.items())) for trial in study.trials}) == len(study.trials)


def test_two_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="2 objectives"):
        TransferSampler([optuna.create_study(directions=["minimize", "maximize"])])


@pytest.mark.slow
def test_plugs_into_ray_tunes_optuna_search() -> None:
    """Through Ray's own adapter, whose space is given as distributions."""
    from ray.tune.search.optuna import OptunaSearch

    past = past_study()
    space = past.trials[0].distributions
    search = OptunaSearch(space, metric="loss", mode="min", sampler=TransferSampler([past], seed=0))
    config = search.suggest("first")
    assert config == past.best_params
    search.on_trial_complete("first", {"loss": 0.1, "training_iteration": 1})
    assert set(search.suggest("second") or {}) == set(space)
