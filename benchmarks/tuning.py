"""What past studies are worth to a sweep: our sampler beside Optuna's own, on recorded results.

``python benchmarks/tuning.py [--data FOLDER] [--families ...] [--tasks N] [--seeds N] [--full] [--json FILE]``. Leave
one task out: each sampler tunes one task of a family, and those with a history are given studies of up to 40 other
tasks of it, 50 trials each that Optuna's TPE sampler led, or in one row random ones. ``--full``: at least 30 runs a
row. The families: see ``tuning_families``.

Reported is normalised regret, (best so far - best known) / (median recorded - best known), its mean over tasks
and seeds after n trials; after how many trials that mean is as good as cold TPE's after 50 and 100 and a cold GP's
after 50, with a 90 % bootstrap interval over runs; the mean rank among the first five rows. Then the same mean after
trials that cost as much as n average trainings of the task, and what it costs, as a share of 50 of them, to get as far
as cold TPE does with those. Rows "by cost" choose by gain for cost. "Random, cheapest first" tries the cheapest of 512
random configurations first, and is told beforehand what they cost.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial
from threadpoolctl import threadpool_limits
from tuning_families import FAMILIES, HISTORY_TRIALS, Array, Family, family, mirrored, permuted, turned

from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.model.encoding import UnitCube
from spotwise.scheduler.tuning.search.portfolio import choose
from spotwise.scheduler.tuning.study.search_space import distributions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tuning"
LONG, SHORT = 100, 50
PAST_STUDIES = 40
PORTFOLIO = 10
SHOWN = (1, 5, 10, 25, 50, 100)
SPENT = (0.5, 1, 2, 5, 10, 25, 50)  # average trainings
MOST_TRIALS = 200  # of a row that runs until as much is spent
RESAMPLES = 300
FULL = 30  # runs a row, at least

TPE, GP = "cold TPE", "cold GP"
PORTFOLIO_TPE, PORTFOLIO_GP = f"portfolio of {PORTFOLIO}, then TPE", f"portfolio of {PORTFOLIO}, then GP"
OURS = "ours"
PEERS = (TPE, GP, PORTFOLIO_TPE, PORTFOLIO_GP, OURS)
HISTORIES: dict[str, Callable[[int, StudyRecord], StudyRecord]] = {
    OURS: lambda _, study: study,
    "ours, goal turned round": lambda _, study: turned(study),
    "ours, half turned round": lambda i, study: turned(study) if i % 2 else study,
    "ours, results permuted": lambda _, study: permuted(study),
    "ours, mirrored": lambda _, study: mirrored(study),
}
UNRELATED, NONE = "ours, another family's", "ours, no history"
RANDOM_PAST = "ours, past trials at random"
CHEAPEST, BY_COST, COLD_BY_COST = "random, cheapest first", "ours, by cost", "ours, by cost, no history"
ROWS = (*PEERS, NONE, RANDOM_PAST, *list(HISTORIES)[1:], UNRELATED)
SPENDING_ROWS = (CHEAPEST, COLD_BY_COST, BY_COST)  # until so much is spent, in however many trials
COST_ROWS = (*PEERS, NONE, *SPENDING_ROWS)
COST = "average trainings"
SAMPLERS = {TPE: TPESampler, GP: GPSampler, PORTFOLIO_TPE: TPESampler, PORTFOLIO_GP: GPSampler}
LOADED = {
    "Optuna's TPE sampler": "from optuna.samplers import TPESampler",
    "ours": "from spotwise.scheduler.tuning import TransferSampler",
    "ours, up to its first prediction": "from spotwise.scheduler.tuning.search import acquisition, transfer_sampler",
}
MEMORY = "; import psutil; print(psutil.Process().memory_info().rss)"


class Job(NamedTuple):
    row: str
    family: str
    task: int
    seed: int
    data: Path


class Run(NamedTuple):
    regret: Array  # best so far, after each trial
    cost: Array  # spent so far, in average trainings of the task
    ask_ms: float  # of CPU for a proposal, mean over the later half


def past_studies(found: Family, task: int, *, at_random: bool = False) -> list[StudyRecord]:
    others = np.random.default_rng(1000 + task).permutation([t for t in range(found.tasks) if t != task])
    study_of = found.random_study if at_random else found.past_study
    return [study_of(int(other)) for other in others[:PAST_STUDIES]]


def sampler_of(job: Job, found: Family) -> tuple[BaseSampler, Sequence[dict[str, Any]]]:
    """And what it tries first."""
    seed = 1000 * job.task + job.seed
    if job.row == CHEAPEST:
        return RandomSampler(seed=seed), cheapest_first(found, job.task, seed)
    if job.row in {TPE, GP}:
        return SAMPLERS[job.row](seed=seed), ()
    history = history_of(job, found)
    if job.row in {PORTFOLIO_TPE, PORTFOLIO_GP}:
        first = [config.params for config in choose(history, found.space, PORTFOLIO)]
        return SAMPLERS[job.row](seed=seed), first
    return TransferSampler(history, seed=seed, cost_of=cost_of if job.row in {BY_COST, COLD_BY_COST} else None), ()


def history_of(job: Job, found: Family) -> list[StudyRecord]:
    if job.row in {NONE, COLD_BY_COST}:
        return []
    if job.row == UNRELATED:
        other = family(FAMILIES[FAMILIES.index(job.family) - 1], job.data)
        return [other.past_study(task) for task in range(8)]
    changed = HISTORIES.get(job.row, HISTORIES[OURS])
    studies = past_studies(found, job.task, at_random=job.row == RANDOM_PAST)
    return [changed(i, study) for i, study in enumerate(studies)]


def cost_of(trial: FrozenTrial) -> float | None:
    return trial.user_attrs.get(COST)


def cheapest_first(found: Family, task: int, seed: int) -> list[dict[str, Any]]:
    cube = UnitCube(found.space)
    drawn = [cube.config(row) for row in cube.random(512, np.random.default_rng(seed))]
    return sorted(drawn, key=lambda params: found.result(task, params)[1])


def play(job: Job) -> Run:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    found = family(job.family, job.data)
    sampler, first = sampler_of(job, found)
    study, space = optuna.create_study(sampler=sampler), distributions(found.space)
    for params in first:
        study.enqueue_trial(params)
    errors, costs, asking = list[float](), list[float](), list[float]()
    spending = job.row in SPENDING_ROWS
    most = MOST_TRIALS if spending else LONG if job.row in {TPE, PORTFOLIO_TPE, OURS, NONE, RANDOM_PAST} else SHORT
    while len(costs) < most and not (spending and sum(costs) >= SPENT[-1]):
        began = time.process_time()
        trial = study.ask(space)
        asking.append(1000 * (time.process_time() - began))
        error, seconds = found.result(job.task, trial.params)
        errors.append(error)
        costs.append(seconds / found.seconds[job.task].mean())
        trial.set_user_attr(COST, costs[-1])
        study.tell(trial, error)
    regret = found.regret(job.task, np.minimum.accumulate(np.array(errors)))
    return Run(regret, np.cumsum(costs), float(np.mean(asking[len(asking) // 2 :])))


def show_overheads(name: str, data: Path) -> None:
    """What a proposal costs late in a sweep, and what loading the sampler does."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    past, current = 20, 100
    ask_ms = {row: _late_ask_ms(Job(row, name, 0, 0, data), past, current) for row in (TPE, OURS)}
    print(f"\nCPU a proposal with {past * HISTORY_TRIALS} past trials and {current} of this sweep, on {name}: ", end="")
    print(", ".join(f"{row} {ms:.0f} ms" for row, ms in ask_ms.items()))
    for what, code in LOADED.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code + MEMORY], check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"loading {what}: {seconds:.2f} s of CPU, {int(done.stdout) / 2**20:.0f} MB")


def _late_ask_ms(job: Job, past: int, current: int) -> float:
    """Median over twenty proposals from the hundredth on."""
    found = family(job.family, job.data)
    history = [found.past_study(task) for task in range(1, past + 1)]
    sampler = TPESampler(seed=0) if job.row == TPE else TransferSampler(history, seed=0)
    study, space, asking = optuna.create_study(sampler=sampler), distributions(found.space), list[float]()
    while len(asking) < current + 20:
        began = time.process_time()
        trial = study.ask(space)
        asking.append(1000 * (time.process_time() - began))
        study.tell(trial, found.result(job.task, trial.params)[0])
    return float(np.median(asking[current:]))


def reached(curve: Array, bar: float) -> float:
    """Trials until the curve is as low as the bar; infinite where it never is."""
    below = np.flatnonzero(curve <= bar)
    return float(below[0] + 1) if len(below) else np.inf


def by_cost(runs: Sequence[Run], units: Array) -> Array:
    """Mean regret once so much is spent; before the first result it is 1."""
    curves = []
    for run in runs:
        done = np.searchsorted(run.cost, units, side="right")
        curves.append(np.where(done > 0, run.regret[np.maximum(done, 1) - 1], 1.0))
    return np.mean(curves, axis=0)


def interval(runs: dict[str, list[Run]], row: str, bar_row: str, trials: int) -> str:
    """Trials to be as good as another row after so many, with its bootstrap interval over paired runs."""
    ours, bar = (np.array([run.regret[:SHORT] for run in runs[name]]) for name in (row, bar_row))
    if trials > SHORT or len(runs[row][0].regret) > SHORT:
        ours = np.array([run.regret for run in runs[row]])
    if trials > SHORT:
        bar = np.array([run.regret for run in runs[bar_row]])
    rng = np.random.default_rng(0)
    found = []
    for sample in rng.integers(0, len(ours), (RESAMPLES, len(ours))):
        found.append(reached(ours[sample].mean(axis=0), bar[sample].mean(axis=0)[trials - 1]))
    low, high = np.quantile(found, [0.05, 0.95], method="nearest")
    middle = reached(ours.mean(axis=0), bar.mean(axis=0)[trials - 1])
    return f"{_count(middle)} [{_count(low)}, {_count(high)}]"


def _share_of_gps_trials(shares: dict[str, float]) -> str:
    never = [name for name, share in shares.items() if not np.isfinite(share)]
    if never:
        return f"ours never as good as cold GP at {SHORT} within {LONG} trials: {', '.join(never)}"
    share = math.exp(np.mean([math.log(each) for each in shares.values()]))
    return f"ours as good as cold GP at {SHORT} after {100 * share:.0f} % of its trials in geometric mean"


def _count(trials: float) -> str:
    return f"{trials:.0f}" if np.isfinite(trials) else "never"


def show(name: str, runs: dict[str, list[Run]]) -> dict[str, Any]:
    count = len(runs[TPE])
    print(f"\n{name}, {count} runs a row" + " " * 6 + "mean normalised regret after n trials")
    print(f"{'':30}" + "".join(f"{f'n={n}':>8}" for n in SHOWN) + f"{'rank':>7}")
    ranks = _ranks(runs)
    facts: dict[str, Any] = {}
    for row in ROWS:
        curve = np.mean([run.regret for run in runs[row]], axis=0)
        shown = "".join(f"{curve[n - 1]:8.3f}" if n <= len(curve) else f"{'':8}" for n in SHOWN)
        print(f"{row:30}{shown}{f'{ranks[row]:.2f}' if row in ranks else '':>7}", flush=True)
        facts[row] = {"regret": curve.round(4).tolist(), "rank": ranks.get(row)}
    for bar_row, trials in ((TPE, 50), (TPE, 100), (GP, 50)):
        line = ", ".join(f"{row} {interval(runs, row, bar_row, trials)}" for row in (PORTFOLIO_TPE, PORTFOLIO_GP, OURS))
        print(f"trials to {bar_row} at {trials}: {line}")
    print("CPU a proposal: " + ", ".join(f"{row} {np.mean([run.ask_ms for run in runs[row]]):.0f} ms" for row in PEERS))
    facts |= {f"{row}, spent": each for row, each in show_costs(runs).items()}
    last = {row: np.mean([run.regret[SHORT - 1] for run in runs[row]]) for row in ROWS}
    facts[OURS]["share"] = reached(np.mean([run.regret for run in runs[OURS]], axis=0), float(last[GP])) / SHORT
    for row in ROWS[len(PEERS) :]:
        print(
            f"{row}: at {SHORT} {last[row] / last[TPE]:.2f} x cold TPE's regret, {last[row] / last[GP]:.2f} x cold GP's"
        )
    return facts


def show_costs(runs: dict[str, list[Run]]) -> dict[str, Any]:
    units, facts = np.linspace(0.1, SPENT[-1], 500), {}
    bar = by_cost(runs[TPE], units)[-1]
    print("mean normalised regret after trials that cost as much as n average trainings")
    print(f"{'':30}" + "".join(f"{f'n={n:g}':>8}" for n in SPENT) + f"{'cost':>8}")
    for row in COST_ROWS:
        curve = by_cost(runs[row], np.array(SPENT, dtype=float))
        spent = np.flatnonzero(by_cost(runs[row], units) <= bar)
        cost = f"{100 * units[spent[0]] / units[-1]:.1f} %" if len(spent) else "> 100 %"
        print(f"{row:30}" + "".join(f"{each:8.3f}" for each in curve) + f"{cost:>9}", flush=True)
        facts[row] = {"regret": curve.round(4).tolist(), "cost": cost}
    return facts


def _ranks(runs: dict[str, list[Run]]) -> dict[str, float]:
    """Mean rank at 10, 25 and 50 trials; equal results share a rank."""
    found = []
    for n in (10, 25, 50):
        values = np.array([[run.regret[n - 1] for run in runs[row]] for row in PEERS])
        lower = (values[None] < values[:, None]).sum(axis=1)
        equal = (values[None] == values[:, None]).sum(axis=1)
        found.append(lower + (equal + 1) / 2)
    return dict(zip(PEERS, np.mean(found, axis=(0, 2)).tolist(), strict=True))


def main(arguments: Sequence[str]) -> int:
    parser = options_of(__doc__, tasks=8, seeds=1)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is absent: nothing measured. Give the folder of the recorded results with --data.")
        return 0
    began, facts = time.monotonic(), dict[str, dict[str, Any]]()
    with workers_of_one_thread() as workers:
        for name in options.families:
            many = FULL if options.full else options.tasks
            tasks = np.unique(np.linspace(0, family(name, options.data).tasks - 1, many).astype(int)).tolist()
            seeds = math.ceil(FULL / len(tasks)) if options.full else options.seeds
            jobs = [
                Job(row, name, task, seed, options.data)
                for row in (*ROWS, *SPENDING_ROWS)
                for task in tasks
                for seed in range(seeds)
            ]
            runs: dict[str, list[Run]] = {job.row: [] for job in jobs}
            for job, run in zip(jobs, workers.map(play, jobs), strict=True):
                runs[job.row].append(run)
            facts[name] = show(name, runs)
    show_overheads("LCBench", options.data)
    if len(facts) > 1:
        print(f"\n{_share_of_gps_trials({name: each[OURS]['share'] for name, each in facts.items()})}")
    print(f"\n{time.monotonic() - began:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return 0


def workers_of_one_thread() -> ProcessPoolExecutor:
    """As many as there are cores, which they share."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of what they load by themselves
    return ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,))


def options_of(description: str | None, *, tasks: int, seeds: int) -> argparse.ArgumentParser:
    """What all benchmarks on recorded tuning results take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tasks", type=int, default=tasks)
    parser.add_argument("--seeds", type=int, default=seeds)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
