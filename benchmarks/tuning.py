"""What past studies are worth to a sweep: our sampler beside Optuna's own, on recorded results.

``python benchmarks/tuning.py [--data FOLDER] [--tasks N] [--seeds N]``. Leave one task out: each sampler tunes one task
of a family, and ours is given studies of other tasks of it, 50 random trials each, as a team's history might be.
``misled`` gets the same studies with their goal turned round. The families: HPOBench-MLP (8 tasks, the full grid:
exact) and LCBench (34 tasks, 1000 configurations: a proposal gets the nearest one's result, coarse in 7 dimensions).

Reported is normalised regret, (best so far - best in the table) / (median of the table - best in the table), its mean
over tasks and seeds after n trials, and the number of trials until that mean is as good as cold TPE's after 50.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from spotwise.scheduler.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.space import distributions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tuning"
TRIALS = 50
HISTORY_TRIALS = 50
SHOWN = (1, 3, 5, 10, 20, 50)
BAR = "cold TPE (Optuna's default)"
Array = NDArray[np.float64]
MakeSampler = Callable[[int, int], BaseSampler]  # (task, seed)


@dataclass(frozen=True)
class Family:
    """Tasks of one kind: a space, the errors of its recorded configurations, and how to find one by its parameters."""

    name: str
    space: dict[str, dict[str, Any]]
    errors: Array  # (tasks, configurations)
    configs: Array  # (configurations, parameters)
    row_of: Callable[[Array], int]

    def error(self, task: int, params: dict[str, float]) -> float:
        return float(self.errors[task, self.row_of(np.array([params[name] for name in self.space]))])

    def past_study(self, task: int, goal: str) -> StudyRecord:
        """What a sweep of random configurations of this task found."""
        rows = np.random.default_rng(task).choice(len(self.configs), HISTORY_TRIALS, replace=False)
        trials = tuple(
            TrialRecord(
                number=number,
                params=dict(zip(self.space, self.configs[row].tolist(), strict=True)),
                state=TrialState.COMPLETED,
                value=float(self.errors[task, row]),
            )
            for number, row in enumerate(rows)
        )
        name = f"{self.name}-{task}"
        return StudyRecord(name, self.name, "error", goal, self.space, datetime(2026, 1, 1, tzinfo=UTC), trials=trials)


def hpobench(folder: Path) -> Family:
    """The MLP tables, over the levels of each parameter."""
    with np.load(folder / "hpobench_mlp.npz") as data:
        names = [dim[0] for dim in json.loads(str(data["dims"]))]
        shape, errors = tuple(data["shape"].tolist()), data["y"].astype(float)
    space = {name: {"type": "int", "low": 0, "high": levels - 1} for name, levels in zip(names, shape, strict=True)}
    grid = np.stack(np.unravel_index(np.arange(errors.shape[1]), shape), axis=1).astype(float)
    return Family("HPOBench-MLP", space, errors, grid, lambda p: int(np.ravel_multi_index(tuple(p.astype(int)), shape)))


def lcbench(folder: Path) -> Family:
    """The tabulated surrogate, in the unit cube."""
    with np.load(folder / "lcbench_table.npz") as data:
        points, errors = data["X"].astype(float), data["y"].astype(float)
    space = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(points.shape[1])}
    return Family("LCBench", space, errors, points, lambda p: int(np.argmin(((points - p) ** 2).sum(axis=1))))


def regret_curve(family: Family, task: int, sampler: BaseSampler) -> Array:
    """Normalised regret after each trial, shape (TRIALS,)."""
    study, space = optuna.create_study(sampler=sampler), distributions(family.space)
    values = []
    for _ in range(TRIALS):
        trial = study.ask(space)
        values.append(family.error(task, trial.params))
        study.tell(trial, values[-1])
    best, median = family.errors[task].min(), np.median(family.errors[task])
    return np.clip((np.minimum.accumulate(values) - best) / (median - best), 0.0, 1.0)


def competitors(family: Family) -> dict[str, MakeSampler]:
    every = len(family.errors) - 1

    def history(task: int, count: int, goal: str = "minimize") -> list[StudyRecord]:
        others = np.random.default_rng(1000 + task).permutation([t for t in range(every + 1) if t != task])
        return [family.past_study(int(other), goal) for other in others[:count]]

    def ours(count: int, goal: str = "minimize") -> MakeSampler:
        return lambda task, seed: TransferSampler(history(task, count, goal), seed=seed)

    return {
        "random": lambda _, seed: RandomSampler(seed=seed),
        BAR: lambda _, seed: TPESampler(seed=seed),
        "ours, no history": ours(0),
        "ours, 1 past study": ours(1),
        "ours, 5 past studies": ours(5),
        f"ours, {every} past studies": ours(every),
        f"ours, misled by {every}": ours(every, "maximize"),
    }


def measure(family: Family, tasks: int, seeds: int) -> dict[str, Array]:
    """The mean curve of each competitor, by its name."""
    chosen = np.unique(np.linspace(0, len(family.errors) - 1, tasks).astype(int)).tolist()
    return {
        name: np.mean([regret_curve(family, t, make(t, 1000 * t + s)) for t in chosen for s in range(seeds)], axis=0)
        for name, make in competitors(family).items()
    }


def show(family: Family, curves: dict[str, Array]) -> None:
    print(f"\n{family.name:<30}" + "".join(f"{f'n={n}':>8}" for n in SHOWN) + f"{'trials to cold TPE@50':>24}")
    for name, curve in curves.items():
        reached = np.flatnonzero(curve <= curves[BAR][-1])
        trials = str(reached[0] + 1) if len(reached) else f"> {TRIALS}"
        print(f"{name:<30}" + "".join(f"{curve[n - 1]:8.3f}" for n in SHOWN) + f"{trials:>24}", flush=True)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is absent: nothing measured. Give the folder of the recorded results with --data.")
        return 0
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(
        f"up to {options.tasks} tasks x {options.seeds} seeds; mean normalised regret after n trials, lower is better"
    )
    for family in (hpobench(options.data), lcbench(options.data)):
        show(family, measure(family, options.tasks, options.seeds))
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
