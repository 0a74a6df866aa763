"""How much work a job is: what the job file says, or what earlier runs of the same file took. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .job import JobSpec, Sweep
from .ledger import Category, Charge
from .run import Run, RunState

NEWEST_RUNS = 5  # measured work is the mean of this many: code and data drift
_WORK = frozenset({Category.PRODUCTIVE, Category.PRUNED, Category.IDLE})


@dataclass(frozen=True, slots=True)
class Work:
    """Hours of work on one reference machine, without interruption or overhead."""

    hours: float | None  # None: nobody knows
    source: str  # where the number comes from, for people
    reference: str | None = None  # accelerator that the hours were measured on; None: this offer's own


@dataclass(frozen=True, slots=True)
class Measured:
    """What completed runs of one job file took, from their charges."""

    runs: int
    work_hours: float
    overhead_hours_per_attempt: float
    accelerator: str | None


def work_of(job: JobSpec, measured: Measured | None) -> Work:
    """The best figure there is: measured beats stated."""
    if measured is not None:
        source = f"measured in {measured.runs} earlier run{'s' if measured.runs != 1 else ''} of this job file"
        return Work(measured.work_hours, source, measured.accelerator)
    if job.work is None or job.work.hours is None:
        return Work(None, "unknown: add work.hours to the job file, or run it once")
    if job.sweep is None:
        return Work(job.work.hours, "work.hours of the job file", job.work.reference)
    if job.sweep.trials is None:
        return Work(None, "unknown: the sweep is bounded by its budget or deadline, not by trials")
    hours, formula = sweep_hours(job.sweep, job.work.hours, job.work.epochs)
    return Work(hours, formula, job.work.reference)


def sweep_hours(sweep: Sweep, hours_per_trial: float, epochs: int | None) -> tuple[float, str]:
    """Hours a sweep host works, and the sum that a person can check."""
    trials = sweep.trials or sweep.parallel
    kept = epochs_share(sweep, epochs)
    rounds = max(trials * kept / sweep.parallel, 1.0)  # the best trial runs all of its epochs
    text = f"{trials} trials x {hours_per_trial:g} h x {kept:.2f} (early stopping) / {sweep.parallel} parallel"
    return rounds * hours_per_trial, text


def epochs_share(sweep: Sweep, epochs: int | None) -> float:
    """Share of all epochs that successive halving lets run; 1 without early stopping.

    Synchronous halving is the ideal (Li et al., MLSys 2020, section 3). The asynchronous kind lets early comers pass,
    so this is a lower bound that measured runs soon replace.
    """
    stopping = sweep.early_stopping
    if stopping is None or epochs is None or stopping.grace_epochs >= epochs:
        return 1.0
    share, alive, done = 0.0, 1.0, 0
    rung = stopping.grace_epochs
    while done < epochs:
        share += alive * (min(rung, epochs) - done)
        done, alive = min(rung, epochs), alive / stopping.reduction_factor
        rung = math.ceil(rung * stopping.reduction_factor)
    return share / epochs


def measure(job_yaml: str, runs: Iterable[Run], charges: Sequence[Charge]) -> Measured | None:
    """What completed runs of exactly this job file took; None if there are none."""
    same = [run for run in runs if run.job_yaml == job_yaml and run.state is RunState.COMPLETED][-NEWEST_RUNS:]
    if not same:
        return None
    ids = {run.id for run in same}
    mine = [charge for charge in charges if charge.run_id in ids]
    attempts = {charge.attempt_id for charge in mine}
    if not attempts:
        return None
    work = sum((Fraction(c.hours) for c in mine if c.category in _WORK), Fraction(0))
    overhead = sum((Fraction(c.hours) for c in mine if c.category is Category.OVERHEAD), Fraction(0))
    kinds = {charge.offer.accelerator for charge in mine}
    return Measured(
        runs=len(same),
        work_hours=float(work / len(same)),
        overhead_hours_per_attempt=float(overhead / len(attempts)),
        accelerator=kinds.pop() if len(kinds) == 1 else None,
    )
