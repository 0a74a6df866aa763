"""Early stopping with and without past studies: freezing and thawing beside successive halving and Hyperband.

``python benchmarks/early_stopping.py [--data FOLDER] [--tasks N] [--seeds N] [--json FILE]``. Leave one task of LCBench
out: each row tunes it, and those with a history are given studies of 33 or fewer other tasks, 50 random trials each
with their learning curves. The peers' pruners and samplers are Optuna's own.

Reported is normalised regret, (best error seen after any epoch - best known) / (median after all epochs - best known),
its mean over runs after training for so many epochs in all, in whole trainings of 52 epochs, and for so many seconds,
in those of the task's average training, with a 90 % bootstrap interval after 5. One place, no cost of starting a trial;
the epochs of a trial that goes on are not trained again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from tuning import PORTFOLIO, RESAMPLES, options_of, past_studies, workers_of_one_thread
from tuning_families import EPOCHS, Array, Family, family, permuted, turned

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.model.past_studies import PastStudies
from spotwise.scheduler.tuning.model.trial_cost import TrialCostModel
from spotwise.scheduler.tuning.search.portfolio import PORTFOLIO_SIZE, choose
from spotwise.scheduler.tuning.stopping.freeze_thaw import FreezeThaw, Start, StartedTrials
from spotwise.scheduler.tuning.study.search_space import distributions

BUDGET = 8.0
SHOWN = (1, 2, 3, 5, 8)
UNITS = ("whole trainings by their epochs", "average trainings by their seconds")
COST = "seconds_an_epoch"
RUNGS = (3, 6, 12, 24, EPOCHS)  # grace_epochs: 3, reduction_factor: 2
HALVING = {"min_resource": 3, "reduction_factor": 3}
FREEZE, COLD_FREEZE = "ours, freeze_thaw", "ours, freeze_thaw, no history"

Seen = tuple[float, float, float]  # spent in whole trainings' epochs, in average trainings' seconds; best error seen


class Job(NamedTuple):
    row: str
    task: int
    seed: int
    data: Path


def halving() -> BasePruner:
    return SuccessiveHalvingPruner(**HALVING)


def hyperband() -> BasePruner:
    return HyperbandPruner(max_resource=EPOCHS, **HALVING)


def by_optuna(found: Family, job: Job, sampler: BaseSampler, pruner: BasePruner, first: int = 0) -> Iterator[Seen]:
    """Trials one after the other, each to its end unless the pruner ends it."""
    study, space = optuna.create_study(sampler=sampler, pruner=pruner), distributions(found.space)
    for config in choose(past_studies(found, job.task), found.space, first):
        study.enqueue_trial(config.params)
    epochs, cost, best = 0, 0.0, np.inf
    while True:
        trial = study.ask(space)
        each = found.result(job.task, trial.params)[1] / found.seconds[job.task].mean() / EPOCHS
        trial.set_user_attr(COST, each)
        for epoch, error in enumerate(found.curve(job.task, trial.params), start=1):
            epochs, cost, best = epochs + 1, cost + each, min(best, float(error))
            yield epochs / EPOCHS, cost, best
            trial.report(float(error), epoch)
            if epoch < EPOCHS and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, float(error))


def by_freezing(found: Family, job: Job, history: Sequence[StudyRecord], *, by_cost: bool = False) -> Iterator[Seen]:
    cube, levels = UnitCube(dict(sorted(found.space.items()))), tuple(rung / EPOCHS for rung in RUNGS)
    first = cube.rows([config.params for config in choose(history, found.space, PORTFOLIO_SIZE, by_cost=by_cost)])
    past, costs = PastStudies(history, cube, levels=levels), TrialCostModel(history, cube) if by_cost else None
    chooser = FreezeThaw(cube, past, levels, first, seed=job.seed, costs=costs)
    rows, results = np.zeros((0, len(found.space))), np.zeros((0, len(levels)))
    curves: list[Array] = []
    each: list[float] = []
    epochs, cost, best, running = 0, 0.0, np.inf, None
    while True:
        choice = chooser.choose(
            StartedTrials(rows, results, np.isnan(results[:, -1]), np.array(each), running), may_begin=True
        )
        if choice is None:
            return
        if isinstance(choice, Start):
            rows, results = np.vstack([rows, choice.row]), np.vstack([results, np.full((1, len(levels)), np.nan)])
            curves.append(found.curve(job.task, cube.config(choice.row)))
            each.append(found.result(job.task, cube.config(choice.row))[1] / found.seconds[job.task].mean() / EPOCHS)
        running = len(rows) - 1 if isinstance(choice, Start) else choice.place
        level = int((~np.isnan(results[running])).sum())
        begin = RUNGS[level - 1] if level else 0
        results[running, level] = curves[running][RUNGS[level] - 1]
        for error in curves[running][begin : RUNGS[level]]:
            epochs, cost, best = epochs + 1, cost + each[running], min(best, float(error))
            yield epochs / EPOCHS, cost, best


def ours(found: Family, job: Job, *, by_cost: bool = False) -> BaseSampler:
    cost_of = (lambda trial: trial.user_attrs[COST]) if by_cost else None
    return TransferSampler(past_studies(found, job.task), seed=job.seed, space=found.space, cost_of=cost_of)


Play = Callable[[Family, Job], Iterator[Seen]]
ROWS: dict[str, Play] = {
    "random, successive halving": lambda f, j: by_optuna(f, j, RandomSampler(seed=j.seed), halving()),
    "TPE, successive halving": lambda f, j: by_optuna(f, j, TPESampler(seed=j.seed), halving()),
    "TPE, Hyperband": lambda f, j: by_optuna(f, j, TPESampler(seed=j.seed), hyperband()),
    f"portfolio of {PORTFOLIO}, TPE, halving": lambda f, j: by_optuna(
        f, j, TPESampler(seed=j.seed), halving(), PORTFOLIO
    ),
    "ours, no early stopping": lambda f, j: by_optuna(f, j, ours(f, j), NopPruner()),
    "ours, no early stopping, by cost": lambda f, j: by_optuna(f, j, ours(f, j, by_cost=True), NopPruner()),
    COLD_FREEZE: lambda f, j: by_freezing(f, j, []),
    FREEZE: lambda f, j: by_freezing(f, j, past_studies(f, j.task)),
    f"{FREEZE}, by cost": lambda f, j: by_freezing(f, j, past_studies(f, j.task), by_cost=True),
    f"{FREEZE}, goal turned": lambda f, j: by_freezing(f, j, [turned(s) for s in past_studies(f, j.task)]),
    f"{FREEZE}, permuted": lambda f, j: by_freezing(f, j, [permuted(s) for s in past_studies(f, j.task)]),
}


def play(job: Job) -> list[list[float]]:
    """Regret after each of ``SHOWN``: in epochs, then in seconds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found, best = family("LCBench", job.data), [dict.fromkeys(SHOWN, np.inf) for _ in UNITS]
    for *spent, error in ROWS[job.row](found, job):
        if min(spent) > BUDGET:
            break
        for each, so_far in zip(best, spent, strict=True):
            each.update({n: error for n in SHOWN if so_far <= n})
    for each in best:
        worst = np.inf
        for n in SHOWN:  # where it ended by itself, what it had stays
            worst = each[n] = min(worst, each[n])
    return [[float(found.regret(job.task, np.array([each[n]]))[0]) for n in SHOWN] for each in best]


def main(arguments: Sequence[str]) -> int:
    parser = options_of(__doc__, tasks=34, seeds=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is absent: nothing measured. Give the folder of the recorded results with --data.")
        return 0
    began, facts, runs = time.monotonic(), dict[str, dict[str, list[float]]](), dict[str, Array]()
    tasks = np.unique(np.linspace(0, family("LCBench", options.data).tasks - 1, options.tasks).astype(int)).tolist()
    rng = np.random.default_rng(0)
    with workers_of_one_thread() as workers:
        for row in ROWS:
            jobs = [Job(row, task, seed, options.data) for task in tasks for seed in range(options.seeds)]
            runs[row] = np.array(list(workers.map(play, jobs)))
    for place, unit in enumerate(UNITS):
        print(f"\nLCBench, {len(tasks) * options.seeds} runs a row: mean normalised regret after n {unit}")
        print(f"{'':34}" + "".join(f"{f'n={n}':>8}" for n in SHOWN) + "   after 5, 90 %")
        for row, found in runs.items():
            regret = found[:, place]
            drawn = regret[rng.integers(0, len(regret), (RESAMPLES, len(regret))), SHOWN.index(5)].mean(axis=1)
            low, high = np.quantile(drawn, [0.05, 0.95])
            means = regret.mean(axis=0)
            print(f"{row:34}" + "".join(f"{mean:8.3f}" for mean in means) + f"   {low:.3f} - {high:.3f}", flush=True)
            facts.setdefault(row, {})[unit] = means.round(4).tolist()
    print(f"{time.monotonic() - began:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
