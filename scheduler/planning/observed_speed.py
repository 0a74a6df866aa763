"""How much work a run is, by its own speed: what it was seen to do takes the place of what somebody stated. Pure.

Stated and observed hours are each a log-normal belief of all hours of work; they are combined by their precisions, so
that one epoch corrects a person's figure for the most part, and many replace it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import stdev

from spotwise.checkpoints import Unit
from spotwise.cost_models.offer import Offer

from ..core.run import Attempt, AttemptState
from ..core.text import counted
from ..core.work_point import TrialPace, WorkPoint
from ..jobfile.job_spec import JobSpec
from .work_estimate import MEASURED_SIGMA, STATED_SIGMA, SWEEP_SIGMA, WorkEstimate, sweep_hours

NEWEST_STEPS = 200  # code and machines drift: what was seen before these does not count
LEAST_SIGMA = 0.03  # however steady it looks: of the logarithm of hours


@dataclass(frozen=True, slots=True)
class ObservedWork:
    """All of a run's work, by its own speed."""

    hours: float  # on the reference, without interruption
    sigma: float  # standard deviation of the logarithm of true over these hours
    reports: int  # it was seen by so many; 0: only that it takes longer than that


@dataclass(frozen=True, slots=True)
class _Advance:
    """What was done between two reports."""

    hours: float  # on the reference
    share: float  # of all work


def observed_work(
    attempts: Sequence[Attempt],
    points: Sequence[WorkPoint],
    speed: Callable[[Offer], float | None],
    now: datetime,
    *,
    report_share: float | None = None,
) -> ObservedWork | None:
    """All hours of work, by how fast it went; None while that says nothing.

    Args:
        speed: of an offer, how many times as fast as the reference; None where nobody measured it: it is left out.
        report_share: share of all work from one report to the next, as far as it is known beforehand: a report that is
            overdue counts as a slow one.
    """
    reader = _SpeedReader({attempt.number: attempt for attempt in attempts}, speed)
    seen = [advance for advance in map(reader.advance, points) if advance is not None][-NEWEST_STEPS:]
    overdue = reader.overdue(seen, report_share, now)
    total = sum(each.share for each in (*seen, *overdue))
    if not total:
        return None
    hours = sum(each.hours for each in (*seen, *overdue)) / total
    return ObservedWork(hours, _sigma([each.hours / each.share for each in seen]), len(seen))


def observed_sweep(
    job: JobSpec, paces: Iterable[TrialPace], attempts: Sequence[Attempt], speed: Callable[[Offer], float | None]
) -> ObservedWork | None:
    """All hours of a sweep, by what its own trials took; None while none has ended, or where nothing bounds them.

    One that was stopped early counts by its epochs, where the job file says how many a whole one has.
    """
    if job.sweep is None or job.sweep.most_trials is None:
        return None
    epochs = job.work.epochs if job.work else None
    by_number = {attempt.number: attempt for attempt in attempts}
    hours, trials = [], []
    for pace in paces:
        share = pace.epochs / epochs if epochs else float(pace.is_whole)
        took = [_held_hours(by_number.get(number), seconds, speed) for number, seconds in pace.held]
        known = [each for each in took if each is not None]
        if share > 0 and known and len(known) == len(took) and sum(known) > 0:
            hours.append(sum(known))
            trials.append(share)
    if not trials:
        return None
    total, _ = sweep_hours(job.sweep, sum(hours) / sum(trials), epochs)
    return ObservedWork(total, _sigma([h / t for h, t in zip(hours, trials, strict=True)]), len(trials))


def _held_hours(attempt: Attempt | None, seconds: float, speed: Callable[[Offer], float | None]) -> float | None:
    factor = None if attempt is None else speed(attempt.offer)
    return None if attempt is None or factor is None else seconds / float(attempt.hour_s) * factor


def _sigma(seen: Sequence[float]) -> float:
    """How well a mean is known: standard deviation of its logarithm."""
    spread = stdev(math.log(each) for each in seen) if len(seen) > 1 else 0.0
    return max(math.sqrt((spread**2 + MEASURED_SIGMA**2) / max(len(seen), 1)), LEAST_SIGMA)


def report_share(job: JobSpec) -> float | None:
    """The share of all work from one report of a training to the next: an epoch, or the steps between checkpoints."""
    work, every = job.work, job.checkpoint.every
    if work is None or job.sweep is not None:
        return None
    if work.steps:
        return every.amount / work.steps if every is not None and every.unit is Unit.STEPS else None
    return 1.0 / work.epochs if work.epochs else None


def learned(work: WorkEstimate, seen: ObservedWork | None, *, is_sweep: bool = False) -> WorkEstimate:
    """What was stated or measured before, corrected by what this run was seen to do.

    How many trials of a sweep stay promising is as little known by one as by the other: that much stays unsure.
    """
    if seen is None:
        return work
    unsure = SWEEP_SIGMA**2 - STATED_SIGMA**2 if is_sweep else 0.0
    if work.hours is None or work.hours <= 0:
        return _known(work, seen.hours, math.sqrt(seen.sigma**2 + unsure), seen) if seen.reports else work
    if not seen.reports and seen.hours <= work.hours:
        return work  # a report that is not due yet
    if work.sigma <= 0:
        return work
    unsure = min(unsure, max(work.sigma**2 - LEAST_SIGMA**2, 0.0)) if work.sigma > MEASURED_SIGMA else 0.0
    stated, observed = 1.0 / (work.sigma**2 - unsure), 1.0 / seen.sigma**2
    mean = (stated * math.log(work.hours) + observed * math.log(seen.hours)) / (stated + observed)
    return _known(work, math.exp(mean), math.sqrt(1.0 / (stated + observed) + unsure), seen)


def seen_on(
    work: WorkEstimate, seen: ObservedWork | None, accelerator: str | None, factor: float | None
) -> WorkEstimate:
    """The same with hours on the accelerator that a run was seen on: they are known there; other speeds are predicted.

    ``factor``: how many times as fast as the reference it was taken to be.
    """
    unseen = seen is None or not seen.reports or work.hours is None
    if unseen or work.hours is None or work.reference in (None, accelerator) or not accelerator or not factor:
        return work
    return replace(work, hours=work.hours / factor, reference=accelerator)


def _known(work: WorkEstimate, hours: float, sigma: float, seen: ObservedWork) -> WorkEstimate:
    by = counted(seen.reports, "report") if seen.reports else "an overdue report"
    return replace(work, hours=hours, sigma=sigma, source=f"this run's own speed, by {by}; before: {work.source}")


class _SpeedReader:
    """Follows the points of a run, attempt by attempt: what one did is done again by none."""

    def __init__(self, attempts: Mapping[int, Attempt], speed: Callable[[Offer], float | None]) -> None:
        self._attempts, self._speed = attempts, speed
        self._last: dict[int, WorkPoint] = {}  # by attempt: when it was last found further than before

    def advance(self, point: WorkPoint) -> _Advance | None:
        """What was done since the report before; None where that is nothing, or its machine's speed is not known."""
        before = self._last.get(point.attempt)
        if point.share is None or point.attempt not in self._attempts:
            return None
        if before is not None and point.share <= (before.share or 0.0):
            return None
        self._last[point.attempt] = point
        return None if before is None else self._done(before, point.at, point.share - (before.share or 0.0))

    def overdue(self, seen: Sequence[_Advance], report_share: float | None, now: datetime) -> list[_Advance]:
        """The report that a live attempt has not made, where it takes longer than others did: at least so long."""
        total = sum(each.share for each in seen)
        share = total / len(seen) if seen else report_share
        if not share:
            return []
        usual = share * sum(each.hours for each in seen) / total if total else 0.0
        live = [last for number, last in self._last.items() if self._attempts[number].state is AttemptState.RUNNING]
        waited = [self._done(last, now, share) for last in live if (last.share or 0.0) < 1.0]
        return [each for each in waited if each is not None and each.hours > usual]

    def _done(self, before: WorkPoint, end: datetime, share: float) -> _Advance | None:
        attempt = self._attempts[before.attempt]
        factor = self._speed(attempt.offer)
        seconds = (end - before.at).total_seconds()
        return None if factor is None or seconds <= 0 else _Advance(seconds / float(attempt.hour_s) * factor, share)
