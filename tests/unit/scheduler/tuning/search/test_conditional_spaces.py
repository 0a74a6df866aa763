"""Parameters that exist only with certain values of others: ``when`` of a job file's space."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning.host.trial_process import trial_environment
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.search.proposer import Proposer
from spotwise.scheduler.tuning.study.study_state import Study, TrialPhase, TrialView
from spotwise.scheduler.tuning.study.sweep_task import SweepTask

MakeTask = Callable[..., SweepTask]
MakeStudy = Callable[..., StudyRecord]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

SPACE: dict[str, dict[str, Any]] = {
    "beta": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": ["adam", "lion"]}},
    "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "nesterov": {"type": "categorical", "choices": [True, False], "when": {"optimizer": "sgd", "layers": [2, 3]}},
    "layers": {"type": "int", "low": 1, "high": 3},
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd", "lion"]},
}


def fits(params: dict[str, Any]) -> bool:
    """Whether exactly those parameters are there that exist."""
    is_sgd = params["optimizer"] == "sgd"
    expected = {"lr", "layers", "optimizer", "momentum" if is_sgd else "beta"}
    return set(params) == expected | ({"nesterov"} if is_sgd and params["layers"] > 1 else set())


def value(params: dict[str, Any]) -> float:
    """Best with sgd, momentum 0.9 and lr 0.03."""
    at = abs(np.log10(params["lr"] / 0.03))
    return float(-at - (abs(params["momentum"] - 0.9) if params["optimizer"] == "sgd" else 1.0))


def sweep(task: SweepTask, trials: int) -> list[TrialView]:
    proposer, study = Proposer(task), Study()
    for _ in range(trials):
        proposal = proposer.propose(study)
        found = value(proposal.params)
        trial = TrialView(
            proposal.number, proposal.params, proposal.source, proposal.note, 0, TrialPhase.COMPLETED, 1,
            {1: found}, found,
        )  # fmt: skip
        study = Study({**study.trials, trial.number: trial})
    return list(study.trials.values())


def past(make_study: MakeStudy, **changes: Any) -> StudyRecord:
    configs: list[dict[str, Any]] = [
        {"lr": 0.03, "layers": 2, "optimizer": "sgd", "momentum": 0.85, "nesterov": True},
        {"lr": 0.01, "layers": 1, "optimizer": "adam", "beta": 0.9},
        {"lr": 0.5, "layers": 3, "optimizer": "lion", "beta": 0.6},
    ]
    return make_study([(each, value(each)) for each in configs], space=SPACE, **changes)


@pytest.mark.parametrize("with_past", [False, True])
def test_only_parameters_that_exist_are_proposed_and_the_best_branch_is_found(
    make_task: MakeTask, make_study: MakeStudy, with_past: bool
) -> None:
    priors = tuple(past(make_study, id=f"past-{n}") for n in range(2)) if with_past else ()
    tried = sweep(make_task(space=SPACE, trials=25, priors=priors), 25)
    assert all(fits(trial.params) for trial in tried)
    assert {trial.params["optimizer"] for trial in tried} == {"adam", "sgd", "lion"}
    assert max(trial.value or -9 for trial in tried) > -0.5
    if with_past:
        assert tried[0].source == "prior"
        assert "beta" not in tried[0].params


def test_a_past_study_without_conditions_teaches_as_far_as_its_parameters_exist(
    make_task: MakeTask, make_study: MakeStudy
) -> None:
    """Its trials name all parameters, whether they were of use or not."""
    plain = {name: {key: part for key, part in spec.items() if key != "when"} for name, spec in SPACE.items()}
    whole = {"lr": 0.03, "layers": 2, "optimizer": "adam", "momentum": 0.85, "nesterov": True, "beta": 0.9}
    old = make_study([(whole, 0.9), ({**whole, "lr": 0.1}, 0.5)], space=plain)
    tried = sweep(make_task(space=SPACE, trials=9, priors=(old,)), 4)
    assert tried[0].params == {"lr": 0.03, "layers": 2, "optimizer": "adam", "beta": 0.9}
    assert all(fits(trial.params) for trial in tried)


def test_rows_have_nothing_where_a_parameter_does_not_exist_and_neighbours_may_bring_it_back() -> None:
    cube, rng = UnitCube(SPACE), np.random.default_rng(0)
    rows = cube.random(200, rng)
    configs = [cube.config(row) for row in rows]
    assert all(map(fits, configs))
    assert np.array_equal(cube.rows(configs), rows, equal_nan=True) or np.allclose(
        cube.rows(configs), rows, equal_nan=True
    )
    near = [cube.config(row) for row in cube.neighbours(rows[:20], 20, rng)]
    assert all(map(fits, near))
    assert cube.is_among(rows, rows).all()


def test_a_parameter_that_does_not_exist_has_no_variable(make_task: MakeTask) -> None:
    params = {"lr": 0.1, "layers": 1, "optimizer": "adam", "beta": 0.9}
    environment = trial_environment(make_task(space=SPACE), 0, params)
    assert {name for name in environment if name.startswith("HP_")} == {"HP_LR", "HP_LAYERS", "HP_OPTIMIZER", "HP_BETA"}
