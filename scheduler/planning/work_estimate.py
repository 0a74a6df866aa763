"""How much work a job is: by earlier runs of the same file, by the job file, or by related studies. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from spotwise.cost_models.offer import Offer
from spotwise.cost_models.throughput import FOUR_IN_FIVE, OwnSpeed, Speed

from ..accounting.ledger import Category, Charge
from ..core.json_values import stored_object
from ..core.run import Attempt, Run, RunKind, RunState
from ..core.text import counted
from ..jobfile.job_spec import JobSpec, Sweep
from .market_snapshot import MarketSnapshot
from .start_estimate import Observed, expected_hours
from .trial_duration import TrialHours

NEWEST_RUNS = 5  # measured work is the mean of this many: code and data drift
STATED_SIGMA = 0.5  # a person's figure is within a factor of 1.9 four times in five
SWEEP_SIGMA = 0.7  # and early stopping adds to that: how many trials stay promising is not known beforehand
MEASURED_SIGMA = 0.2  # one run of the same job file; more runs by the spread among them, but never below half of this
_UNBOUNDED = "the sweep is bounded by its budget or deadline, not by trials"
_WORK = frozenset({Category.PRODUCTIVE, Category.PRUNED, Category.IDLE})


@dataclass(frozen=True, slots=True)
class WorkEstimate:
    """Hours of work on one reference machine, without interruption or overhead."""

    hours: float | None  # None: nobody knows
    source: str  # where the number comes from, for people
    reference: str | None = None  # accelerator that the hours were measured on; None: this offer's own
    sigma: float = 0.0  # how well they are known: standard deviation of the logarithm of true over given hours
    gpu_memory_gib: float | None = None  # that a trial must have of a GPU; None: nobody knows
    family: str | None = None  # what kind of job it is, as the job file says: other kinds do not set its speeds
    own_speeds: tuple[OwnSpeed, ...] = ()  # of this job on accelerators besides the reference

    @property
    def expected_hours(self) -> float | None:
        """The mean of what it may be: above ``hours``, which is the middle, since work has no upper end."""
        return None if self.hours is None else self.hours * math.exp(0.5 * self.sigma**2)

    def speed(self, known: MarketSnapshot, offer: Offer) -> Speed | None:
        """How fast the job is on an offer, against the reference; None: nobody can tell."""
        return known.speed(offer, self.reference, family=self.family, own=self.own_speeds)

    @property
    def factor(self) -> float:
        """By which the true work is above or below ``hours`` at most, four times in five."""
        return math.exp(FOUR_IN_FIVE * self.sigma)


@dataclass(frozen=True, slots=True)
class Measured:
    """What completed runs of one job file took, from their charges."""

    runs: int
    work_hours: float
    accelerator: str | None
    sigma: float
    own_speeds: tuple[OwnSpeed, ...] = ()  # on other accelerators, against this one


def work_of(
    job: JobSpec, measured: Measured | None, related: TrialHours | None = None, *, unused: str = ""
) -> WorkEstimate:
    """The best figure there is: measured beats stated, stated beats what trials of related studies took.

    ``unused``: why related studies say nothing, for people.
    """
    return replace(_hours_of(job, measured, related, unused), family=job.work.family if job.work else None)


def _hours_of(job: JobSpec, measured: Measured | None, related: TrialHours | None, unused: str) -> WorkEstimate:
    if measured is not None:
        source = f"measured in {counted(measured.runs, 'earlier run')} of this job file"
        return WorkEstimate(
            measured.work_hours, source, measured.accelerator, measured.sigma, own_speeds=measured.own_speeds
        )
    if job.work is None or job.work.hours is None:
        return _work_of_related(job, related, unused)
    if job.sweep is None:
        return WorkEstimate(job.work.hours, "work.hours of the job file", job.work.reference, STATED_SIGMA)
    if job.sweep.most_trials is None:
        return WorkEstimate(None, _UNBOUNDED)
    hours, formula = sweep_hours(job.sweep, job.work.hours, job.work.epochs)
    return WorkEstimate(hours, formula, job.work.reference, SWEEP_SIGMA)


def _work_of_related(job: JobSpec, related: TrialHours | None, unused: str) -> WorkEstimate:
    if job.sweep is None or related is None:
        advice = "add work.hours to the job file, or run it once"
        return WorkEstimate(None, f"{advice}; {unused}" if unused else advice)
    if job.sweep.most_trials is None:
        return WorkEstimate(None, f"{_UNBOUNDED}; {related.text}")
    hours, formula = sweep_hours(job.sweep, related.mean, job.work.epochs if job.work else None)
    stopping = SWEEP_SIGMA**2 - STATED_SIGMA**2
    return WorkEstimate(
        hours, f"{formula} on average, {related.text}", related.reference, math.sqrt(related.sigma**2 + stopping)
    )


def as_planned(work: WorkEstimate, plan_json: str) -> WorkEstimate:
    """What related studies said when the run was planned, if nothing better is known: they may be forgotten."""
    said = stored_object(plan_json)
    hours, source = said.get("work_hours"), said.get("work_source", "")
    if work.hours is None and hours is not None and "work_sigma" in said:
        work = replace(
            work,
            hours=float(hours),
            source=source,
            reference=said.get("work_reference"),
            sigma=float(said["work_sigma"]),
        )
    return replace(work, gpu_memory_gib=said.get("work_gpu_memory_gib"))


def sweep_hours(sweep: Sweep, hours_per_trial: float, epochs: int | None) -> tuple[float, str]:
    """Hours a sweep host works, and the sum that a person can check."""
    trials = sweep.most_trials or sweep.parallel
    kept = epochs_share(sweep, epochs)
    # Trials start when a place is free, so the last ones run beside empty places: at worst (1 - 1/parallel) of the
    # longest trial (Graham 1969), half of that on average.
    parallel = sweep.parallel * sweep.hosts
    tail = 0.5 * (1 - 1 / parallel)
    rounds = max(trials * kept / parallel + tail, 1.0)
    text = f"({trials} trials x {kept:.2f} after early stopping / {parallel} parallel + {tail:.2f} tail)"
    return rounds * hours_per_trial, f"{text} x {hours_per_trial:.4g} h"


def epochs_share(sweep: Sweep, epochs: int | None) -> float:
    """Expected share of all epochs that asynchronous halving lets run; 1 without early stopping.

    Trials reach a rung one after the other. The k-th to come goes on if it is among the best ``floor(k / eta)`` so
    far, which of k equally good strangers one is with that share of k; the first ``eta - 1`` have too little company to
    be judged (see ``tuning/asha.py``). Trials that get better as the sampler learns make it a lower bound.
    """
    stopping = sweep.early_stopping
    if stopping is None or epochs is None or stopping.grace_epochs >= epochs:
        return 1.0
    trials = float(sweep.most_trials or sweep.parallel)
    ran, alive, done, rung = 0.0, trials, 0, stopping.grace_epochs
    while rung < epochs:
        ran += alive * (rung - done)
        done, alive = rung, _survivors(alive, stopping.reduction_factor)
        rung *= stopping.reduction_factor
    return (ran + alive * (epochs - done)) / (trials * epochs)


def _survivors(arrivals: float, eta: int) -> float:
    """How many of so many arrivals at a rung are expected to go on."""
    whole = int(arrivals)
    expected = sum(1.0 if k < eta else k // eta / k for k in range(1, whole + 1))
    return expected + (arrivals - whole) * (1.0 if whole + 1 < eta else (whole + 1) // eta / (whole + 1))


@dataclass(frozen=True, slots=True)
class MeasuredRuns:
    """Completed runs, and what their machines did with their hours; all under one kind of money and one pace."""

    runs: tuple[Run, ...]
    hours: Mapping[str, Mapping[Category, float]]  # by run: billed hours of a machine, not of all its nodes
    starts: Mapping[str, Sequence[Observed]]  # by run: overhead of each attempt; whole where it came to work
    accelerators: Mapping[str, frozenset[str | None]]  # by run
    kept: frozenset[str] = frozenset()  # texts of job files whose runs were seen to keep something

    @classmethod
    def under(
        cls, known: MarketSnapshot, runs: Iterable[Run], attempts: Iterable[Attempt], charges: Iterable[Charge]
    ) -> MeasuredRuns:
        """What was seen under the market that ``known`` describes: emulated hours say nothing about real ones."""
        attempts, runs = list(attempts), list(runs)
        saving = {a.run_id for a in attempts if a.kept}
        fitting = {a.id: a for a in attempts if a.hour_s == known.hour_s and a.cost_basis is known.cost_basis}
        hours: dict[str, dict[Category, float]] = {}
        by_attempt: dict[str, dict[str, dict[Category, float]]] = {}
        accelerators: dict[str, set[str | None]] = {}
        for charge in charges:
            attempt = fitting.get(charge.attempt_id)
            if attempt is not None:
                own = by_attempt.setdefault(charge.run_id, {}).setdefault(attempt.id, {})
                for sums in (hours.setdefault(charge.run_id, {}), own):
                    sums[charge.category] = sums.get(charge.category, 0.0) + float(charge.hours) / attempt.nodes
                accelerators.setdefault(charge.run_id, set()).add(charge.offer.accelerator)
        return cls(
            runs=tuple(run for run in runs if run.state is RunState.COMPLETED and run.id in hours),
            hours=hours,
            starts={run_id: [_start(own) for own in each.values()] for run_id, each in by_attempt.items()},
            accelerators={run_id: frozenset(kinds) for run_id, kinds in accelerators.items()},
            kept=frozenset(run.job_yaml for run in runs if run.id in saving),
        )


def measure(job_yaml: str, seen: MeasuredRuns) -> Measured | None:
    """What the newest completed runs of exactly this job file took; None if there are none.

    Where GPUs differ in speed, hours on different ones cannot be averaged: then only runs on the newest run's count.
    """
    same = [run for run in seen.runs if run.job_yaml == job_yaml][-NEWEST_RUNS:]
    if not same:
        return None
    kinds = seen.accelerators[same[-1].id]
    alike = [run for run in same if seen.accelerators[run.id] == kinds]
    by_run = [_work_hours(run, seen) for run in alike]
    reference = next(iter(kinds)) if len(kinds) == 1 else None
    hours, sigma = fmean(by_run), _spread(by_run)
    own = _own_speeds(same, seen, reference, hours, sigma) if reference is not None and hours > 0 else ()
    return Measured(runs=len(alike), work_hours=hours, accelerator=reference, sigma=sigma, own_speeds=own)


def _own_speeds(
    same: Sequence[Run], seen: MeasuredRuns, reference: str, hours: float, sigma: float
) -> tuple[OwnSpeed, ...]:
    """How fast runs of the same file were on other accelerators than the newest's; those that moved tell nothing."""
    by_accelerator: dict[str, list[float]] = {}
    for run in same:
        accelerator = next(iter(seen.accelerators[run.id])) if len(seen.accelerators[run.id]) == 1 else None
        took = _work_hours(run, seen)
        if accelerator is not None and accelerator != reference and took > 0:
            by_accelerator.setdefault(accelerator, []).append(took)
    return tuple(
        OwnSpeed(accelerator, hours / fmean(each), math.hypot(sigma, _spread(each)))
        for accelerator, each in sorted(by_accelerator.items())
    )


def _work_hours(run: Run, seen: MeasuredRuns) -> float:
    return sum(seen.hours[run.id].get(category, 0.0) for category in _WORK) / run.hosts


def overhead_hours(kind: RunKind, seen: MeasuredRuns) -> float | None:
    """Measured overhead of an attempt, in billed hours: by all attempts of the newest completed runs of this kind.

    An attempt that was cut off before it came to work has shown only that it takes at least so long.
    """
    newest = [run for run in seen.runs if run.kind is kind][-NEWEST_RUNS:]
    if not newest:
        return None
    return expected_hours((start for run in newest for start in seen.starts[run.id]), 0.0)


def _start(hours: Mapping[Category, float]) -> Observed:
    return Observed(hours.get(Category.OVERHEAD, 0.0), any(category is not Category.OVERHEAD for category in hours))


def _spread(hours: Sequence[float]) -> float:
    """Standard deviation of the logarithm of measured hours."""
    logs = [math.log(each) for each in hours if each > 0]
    return MEASURED_SIGMA if len(logs) < 2 else max(stdev(logs), MEASURED_SIGMA / 2)
