"""What past studies are said to save, beside what they do save, on recorded results.

``python benchmarks/savings.py [--data FOLDER] [--families ...] [--tasks N] [--seeds N]``. Three tables a family:

- how many trials spotwise's sampler and Optuna's TPE need without history until they are as good as a share of all
  recorded configurations (medians), and the rule that ``savings.cold_start`` makes of it;
- what a plan would say of a sweep with five past studies, beside how good its first four configurations are;
- what a report would say of sweeps that have ended, with past studies that help and with some that mislead, beside how
  many trials it took cold sweeps to be as good as the configurations taken from them.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.samplers import BaseSampler, TPESampler
from tuning import options_of, workers_of_one_thread
from tuning_families import FAMILIES, Array, Family, family, permuted, turned

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.savings.cold_start import cold_trials, finest_quantile
from spotwise.scheduler.tuning.savings.expected import expected_saving
from spotwise.scheduler.tuning.savings.realised import realised_saving
from spotwise.scheduler.tuning.search.portfolio import PORTFOLIO_SIZE, choose
from spotwise.scheduler.tuning.study.search_space import distributions

SHARES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
LONGEST = 60  # trials of a cold sweep
PAST, FORESEEN = 5, 40
ENDS = (6, 8, 10)
HISTORIES = {"helpful": lambda study: study, "goal turned round": turned, "results permuted": permuted}


class Played(NamedTuple):
    """A sweep that was played: configurations and their errors, in order."""

    trials: tuple[TrialRecord, ...]
    errors: Array


def past_of(found: Family, task: int, seed: int) -> list[StudyRecord]:
    others = np.random.default_rng([task, seed]).permutation([t for t in range(found.tasks) if t != task])
    return [found.past_study(int(other)) for other in others[:PAST]]


def play(job: tuple[str, Path, int, int, str, int]) -> Played:
    name, data, task, seed, kind, trials = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    found, number = family(name, data), 1000 * task + seed
    sampler: BaseSampler = TPESampler(seed=number) if kind == "TPE" else TransferSampler(seed=number)
    if kind in HISTORIES:
        past = [HISTORIES[kind](study) for study in past_of(found, task, seed)]
        sampler = TransferSampler(past, seed=number, space=found.space)
    study, space, done = optuna.create_study(sampler=sampler), distributions(found.space), []
    for index in range(trials):
        trial = study.ask(space)
        error = found.result(task, trial.params)[0]
        study.tell(trial, error)
        source = "prior" if kind in HISTORIES and index < PORTFOLIO_SIZE else "sampler"
        done.append(TrialRecord(index, dict(trial.params), TrialState.COMPLETED, error, source=source))
    return Played(tuple(done), np.array([trial.value for trial in done]))


def share(found: Family, task: int, error: float) -> float:
    """Of all recorded configurations, those that are at least as good."""
    return float((1 + np.sum(found.errors[task] <= error)) / (1 + found.errors.shape[1]))


def hits(runs: Sequence[Played], error: float) -> list[int]:
    """Trials of each run until it is as good; one more than it had where it never was."""
    return [int(np.append(run.errors <= error, True).argmax()) + 1 for run in runs]


def show_cold(found: Family, ours: dict[int, list[Played]], tpe: dict[int, list[Played]]) -> None:
    print(f"\n{found.name}: trials without history to be among the best" + "".join(f"{q:>8.1%}" for q in SHARES))
    for row, by_task in (("spotwise", ours), ("Optuna's TPE", tpe)):
        errors = {q: {task: np.quantile(found.errors[task], q) for task in by_task} for q in SHARES}
        middle = [np.median([n for t, runs in by_task.items() for n in hits(runs, errors[q][t])]) for q in SHARES]
        shown = "".join(f"{n:>8.0f}" if n <= LONGEST else f"{'> 60':>8}" for n in middle)
        print(f"{row:>55}{shown}")
    print(f"{'assumed':>55}" + "".join(f"{cold_trials(q):>8.0f}" for q in SHARES))


def show_expected(found: Family) -> None:
    rows = []
    for number in range(FORESEEN):
        task = int(np.random.default_rng(number).integers(found.tasks))
        past = past_of(found, task, number)
        said = expected_saving(past, found.space, PORTFOLIO_SIZE)
        assert said is not None
        first = [found.result(task, config.params)[0] for config in choose(past, found.space, PORTFOLIO_SIZE)]
        best = share(found, task, min(first))
        told = cold_trials(max(best, finest_quantile(len(past[0].trials))))  # no finer than past studies can tell
        rows.append((said.without.expected, said.without.p10, said.without.p90, cold_trials(best), told))
    said, low, high, true, told = np.array(rows).T
    inside, below = np.mean((told >= low) & (told <= high)), np.mean(true < low)
    four = PORTFOLIO_SIZE
    print(
        f"expected, {FORESEEN} sweeps: {said.mean() - four:.1f} trials saved said ({low.mean() - four:.1f} to "
        f"{high.mean() - four:.1f}), {true.mean() - four:.1f} true; inside {inside:.0%}, true below {below:.0%}"
    )


def show_realised(found: Family, ours: dict[int, list[Played]], ended: dict[tuple[int, int, str], Played]) -> None:
    heads = "".join(f"{head:>8}" for head in ("trials", "said", "true", "off by", "inside", "log sd"))
    print(f"{'realised, past studies that are':31}{heads}")
    for kind, change in HISTORIES.items():
        for trials in ENDS:
            rows = []
            for (task, seed, kind_), run in ended.items():
                if kind_ != kind:
                    continue
                past = [change(study) for study in past_of(found, task, seed)]
                study = replace(past[0], id="new", goal="minimize", trials=run.trials[:trials], priors=("past",))
                said = realised_saving(study, past)
                assert said is not None
                best = float(run.errors[:PORTFOLIO_SIZE].min())
                true = float(np.median(hits(ours[task], best)))
                quantile = share(found, task, best)
                assumed, low, high = cold_trials(quantile), said.without.p10, said.without.p90
                log_off = (_log_share(said.without.expected) - math.log(quantile)) if quantile < 1 / 6 else 0.0
                rows.append((said.trials.expected, true - said.with_past, low <= assumed <= high, log_off))
            said_, true_, held, off = np.array(rows, dtype=float).T
            print(
                f"{kind:31}{trials:>8}{said_.mean():>8.1f}{true_.mean():>8.1f}{np.abs(said_ - true_).mean():>8.1f}"
                f"{held.mean():>8.0%}{np.sqrt(np.mean(off**2)):>8.2f}",
                flush=True,
            )


def _log_share(trials: float) -> float:
    """The logarithm of the quantile that so many cold trials reach: ``cold_trials`` turned round."""
    shares = np.geomspace(1e-5, 1.0, 10_000)
    return float(np.log(shares[np.argmin([abs(cold_trials(q) - trials) for q in shares])]))


def main(arguments: Sequence[str]) -> int:
    parser = options_of(__doc__, tasks=8, seeds=3)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is absent: nothing measured. Give the folder of the recorded results with --data.")
        return 0
    began = time.monotonic()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # here too: past studies are led by Optuna's sampler
    with workers_of_one_thread() as workers:
        for name in options.families:
            found = family(name, options.data)
            tasks = np.unique(np.linspace(0, found.tasks - 1, options.tasks).astype(int)).tolist()
            each = [(task, seed) for task in tasks for seed in range(options.seeds)]
            kinds = {"none": LONGEST, "TPE": LONGEST, **dict.fromkeys(HISTORIES, max(ENDS))}
            jobs = [(name, options.data, t, s, kind, n) for kind, n in kinds.items() for t, s in each]
            played = dict(zip(jobs, workers.map(play, jobs), strict=True))
            by_kind = {kind: {(j[2], j[3], kind): run for j, run in played.items() if j[4] == kind} for kind in kinds}
            ours, tpe = (
                {t: [r for k, r in by_kind[kind].items() if k[0] == t] for t in tasks} for kind in ("none", "TPE")
            )
            show_cold(found, ours, tpe)
            show_expected(found)
            show_realised(found, ours, {k: r for kind in HISTORIES for k, r in by_kind[kind].items()})
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
