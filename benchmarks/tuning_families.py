"""Families of recorded tuning tasks: a space, and what any configuration of it gives on each task.

HPOBench-MLP is a full grid: exact. LCBench is a surrogate, which flatters Gaussian processes. rbv2_rpart is a table of
500 configurations at random; between them extremely randomised trees interpolate, which give a recorded configuration
its recorded result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import TPESampler
from sklearn.ensemble import ExtraTreesRegressor

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning.study.search_space import distributions

Array = NDArray[np.float64]
Params = Mapping[str, Any]

FAMILIES = ("HPOBench-MLP", "LCBench", "rbv2_rpart")
HISTORY_TRIALS = 50
_TREES = 30
EPOCHS = 52  # of a whole training of LCBench
_LCBENCH: dict[str, dict[str, Any]] = {
    "batch_size": {"type": "int", "low": 16, "high": 512, "log": True},
    "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
    "momentum": {"type": "float", "low": 0.1, "high": 0.99},
    "weight_decay": {"type": "float", "low": 1e-5, "high": 0.1},
    "num_layers": {"type": "int", "low": 1, "high": 5},
    "max_units": {"type": "int", "low": 64, "high": 1024, "log": True},
    "max_dropout": {"type": "float", "low": 0.0, "high": 1.0},
}


class Curves(Protocol):
    def __call__(self, task: int, point: Array) -> Array: ...


class Results(Protocol):
    def __call__(self, task: int, point: Array) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Family:
    """Errors are to be minimised; costs are seconds of training."""

    name: str
    space: dict[str, dict[str, Any]]
    points: Array  # (configurations, parameters), recorded
    errors: Array  # (tasks, configurations)
    seconds: Array  # (tasks, configurations)
    results: Results = field(repr=False)
    best: Array | None = None  # (tasks,): the best known, where that is better than the best recorded
    curves: Curves | None = field(default=None, repr=False)  # errors after each epoch, where they are known
    recorded: tuple[tuple[int, ...], Array] | None = field(default=None, repr=False)  # epochs, (tasks, configs, epochs)
    swept: dict[tuple[int, int], StudyRecord] = field(default_factory=dict, repr=False)  # by task and trials

    @property
    def tasks(self) -> int:
        return len(self.errors)

    def result(self, task: int, params: Params) -> tuple[float, float]:
        return self.results(task, np.array([self._place(name, params[name]) for name in self.space], dtype=float))

    def curve(self, task: int, params: Params) -> Array:
        """Errors after each epoch; raises ValueError where the family has no curves."""
        if self.curves is None:
            raise ValueError(f"{self.name} has no learning curves")
        return self.curves(task, np.array([self._place(name, params[name]) for name in self.space], dtype=float))

    def regret(self, task: int, errors: Array) -> Array:
        """Normalised: 0 is the best known, 1 the median recorded."""
        best = self.errors[task].min() if self.best is None else self.best[task]
        median = np.median(self.errors[task])
        return np.asarray(np.clip((errors - best) / (median - best), 0.0, 1.0))

    def past_study(self, task: int, trials: int = HISTORY_TRIALS) -> StudyRecord:
        """What a sweep of this task found that Optuna's TPE sampler led: some tuner led a team's past sweeps too."""
        if (task, trials) not in self.swept:
            self.swept[task, trials] = self._study(task, self._sweep(task, trials))
        return self.swept[task, trials]

    def _sweep(self, task: int, trials: int) -> list[TrialRecord]:
        study = optuna.create_study(sampler=TPESampler(seed=task))
        space, done = distributions(self.space), list[TrialRecord]()
        for number in range(trials):
            trial = study.ask(space)
            error, seconds = self.result(task, trial.params)
            study.tell(trial, error)
            curve = self._recorded_curve(task, trial.params)
            done.append(TrialRecord(number, trial.params, TrialState.COMPLETED, error, seconds=seconds, curve=curve))
        return done

    def random_study(self, task: int, trials: int = HISTORY_TRIALS) -> StudyRecord:
        """What a sweep of random recorded configurations of this task found."""
        done = []
        for number, row in enumerate(np.random.default_rng(task).choice(len(self.points), trials, replace=False)):
            params = {name: self._value(name, at) for name, at in zip(self.space, self.points[row], strict=True)}
            error, seconds = float(self.errors[task, row]), float(self.seconds[task, row])
            curve = () if self.recorded is None else _points(self.recorded[0], self.recorded[1][task, row])
            done.append(TrialRecord(number, params, TrialState.COMPLETED, error, seconds=seconds, curve=curve))
        return self._study(task, done)

    def _recorded_curve(self, task: int, params: Params) -> tuple[tuple[int, float], ...]:
        """After the epochs that are recorded of other configurations."""
        if self.recorded is None:
            return ()
        epochs = self.recorded[0]
        return _points(epochs, self.curve(task, params)[np.array(epochs) - 1])

    def _study(self, task: int, trials: Sequence[TrialRecord]) -> StudyRecord:
        name, created = f"{self.name}-{task}", datetime(2026, 1, 1, tzinfo=UTC)
        return StudyRecord(name, self.name, "error", "minimize", self.space, created, trials=tuple(trials))

    def _place(self, name: str, value: Any) -> float:
        spec = self.space[name]
        return float(spec["choices"].index(value)) if spec["type"] == "categorical" else float(value)

    def _value(self, name: str, place: float) -> Any:
        spec = self.space[name]
        if spec["type"] == "categorical":
            return spec["choices"][int(place)]
        return int(place) if spec["type"] == "int" else float(place)


@lru_cache
def family(name: str, folder: Path) -> Family:
    """Raises KeyError for a name that is none of ``FAMILIES``, OSError where the records are not there."""
    makers = dict(zip(FAMILIES, (_hpobench, _lcbench, _rpart), strict=True))
    return makers[name](folder)


def _hpobench(folder: Path) -> Family:
    with np.load(folder / "hpobench_mlp.npz") as data:
        names = [dim[0] for dim in json.loads(str(data["dims"]))]
        shape, errors, seconds = tuple(data["shape"].tolist()), data["y"].astype(float), data["cost_s"].astype(float)
    space = {name: {"type": "int", "low": 0, "high": levels - 1} for name, levels in zip(names, shape, strict=True)}
    grid = np.stack(np.unravel_index(np.arange(errors.shape[1]), shape), axis=1).astype(float)

    def results(task: int, point: Array) -> tuple[float, float]:
        row = np.ravel_multi_index(tuple(point.astype(int)), shape)
        return float(errors[task, row]), float(seconds[task, row])

    return Family("HPOBench-MLP", space, grid, errors, seconds, results)


def _lcbench(folder: Path) -> Family:
    """YAHPO Gym's surrogate, which the table's own results were taken from."""
    from onnxruntime import InferenceSession, SessionOptions

    with np.load(folder / "lcbench_table.npz") as data:
        unit, errors, seconds = (data[key].astype(float) for key in ("X", "y", "cost_s"))
        best, recorded = data["best_known"].astype(float), data["curve_err"].astype(float)
        epochs = tuple(int(epoch) for epoch in data["epochs"])
        names = [str(name) for name in data["tasks"]]
    surrogate = folder / "lcbench_surrogate"
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(surrogate / "model.onnx", options)
    codes = json.loads((surrogate / "encoding.json").read_text(encoding="utf-8"))["OpenML_task_id"]

    def after(task: int, point: Array, at: Array) -> Array:
        given = np.hstack([at[:, None], np.tile(point, (len(at), 1))]).astype(np.float32)
        code = np.full((len(at), 1), codes[names[task]], dtype=np.int32)
        return np.asarray(session.run(None, {"x_cat": code, "x_cont": given})[0], dtype=float)

    def results(task: int, point: Array) -> tuple[float, float]:
        answer = after(task, point, np.array([float(EPOCHS)]))[0]
        return 1.0 - float(answer[1]) / 100, float(answer[0])

    def curves(task: int, point: Array) -> Array:
        return np.asarray(1.0 - after(task, point, np.arange(1.0, EPOCHS + 1))[:, 1] / 100)

    points = np.stack([_from_unit(spec, unit[:, i]) for i, spec in enumerate(_LCBENCH.values())], axis=1)
    return Family("LCBench", _LCBENCH, points, errors, seconds, results, best, curves, (epochs, recorded))


def _points(epochs: Sequence[int], errors: Array) -> tuple[tuple[int, float], ...]:
    return tuple((epoch, float(error)) for epoch, error in zip(epochs, errors, strict=True))


def _from_unit(spec: Mapping[str, Any], unit: Array) -> Array:
    if spec["type"] == "int" and not spec.get("log"):  # recorded as its level
        return unit + spec["low"]
    low, high = (np.log([spec["low"], spec["high"]])) if spec.get("log") else (spec["low"], spec["high"])
    value = low + unit * (high - low)
    value = np.exp(value) if spec.get("log") else value
    return np.rint(value) if spec["type"] == "int" else np.clip(value, spec["low"], spec["high"])


def _rpart(folder: Path) -> Family:
    with np.load(folder / "rbv2_rpart_table.npz") as data:
        dims = json.loads(str(data["dims"]))
        points, errors, seconds = (data[key].astype(float) for key in ("X", "y", "cost_s"))
    space: dict[str, dict[str, Any]] = {
        name: {"type": "categorical", "choices": choices} if kind == "k" else {"type": "float", "low": 0.0, "high": 1.0}
        for name, kind, _, choices in dims
    }
    return Family("rbv2_rpart", space, points, errors, seconds, _between(points, errors, seconds))


def _between(points: Array, errors: Array, seconds: Array) -> Results:
    """Results of any point by interpolation."""

    @lru_cache
    def model(task: int) -> ExtraTreesRegressor:
        both = np.stack([errors[task], np.log(np.maximum(seconds[task], 1e-3))], axis=1)
        scaled = both / both.std(axis=0)
        return ExtraTreesRegressor(_TREES, random_state=task).fit(points, scaled)

    def results(task: int, point: Array) -> tuple[float, float]:
        log_seconds = np.log(np.maximum(seconds[task], 1e-3))
        error, cost = model(task).predict(point[None])[0] * [errors[task].std(), log_seconds.std()]
        return float(error), float(np.exp(cost))

    return results


def turned(study: StudyRecord) -> StudyRecord:
    """Its goal turned round: the best is taken for the worst."""
    return replace(study, goal="maximize")


def permuted(study: StudyRecord) -> StudyRecord:
    """Its results dealt out anew."""
    order = np.random.default_rng(len(study.id)).permutation(len(study.trials))
    dealt = tuple(
        replace(t, value=study.trials[i].value, curve=study.trials[i].curve)
        for t, i in zip(study.trials, order, strict=True)
    )
    return replace(study, trials=dealt)


def mirrored(study: StudyRecord) -> StudyRecord:
    """Its numeric parameters reflected in the middle of their bounds."""

    def other(params: Params) -> dict[str, Any]:
        return {
            name: value if study.space[name]["type"] == "categorical" else _reflected(study.space[name], value)
            for name, value in params.items()
        }

    return replace(study, trials=tuple(replace(t, params=other(t.params)) for t in study.trials))


def _reflected(spec: Mapping[str, Any], value: Any) -> Any:
    return spec["low"] + spec["high"] - value
