"""How long a sweep's trials will take, from the seconds that trials of related studies took. Pure.

Times of one study differ by configuration, times of two by more than that: a ridge regression of log hours on the
configuration, with a level for each study, tells them apart. It is believed where it predicts trials that it was not
fitted to clearly better than their study's level alone; otherwise each trial is expected to take what past ones took.

Hours are those of the reference accelerator: a study that ran on others counts by their measured speeds, and is left
out where nobody measured them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.estimate import Quantiles
from spotwise.cost_models.throughput import relative_speed

from ..core.configurations import Space
from ..core.run import Attempt, CostBasis
from ..core.study import StudyRecord, TrialState
from ..core.text import counted
from ..jobfile.job_spec import JobSpec
from ..tuning.model.encoding import encode
from ..tuning.savings.expected import random_points
from .market_snapshot import MarketSnapshot
from .warm_start import WarmStart

LEAST_TIMES = 3  # trials of a study: fewer say nothing of how much they differ
LEAST_FITTED = 12  # trials of all: fewer tell no dependence from chance
FOLDS = 4
CLEARLY = 0.8  # what a regression may leave of the squared error, to be believed
RIDGE = 0.1
ONE_STUDY_SIGMA = 0.5  # one study does not show how much studies differ: as sure as a person's figure
LEAST_SIGMA = 0.2
UNKNOWN = ""  # no accelerator, or nobody said which


@dataclass(frozen=True, slots=True)
class PastTimes:
    """Trials of one related study: hours that a whole one took, on the machines that it ran on."""

    study: str
    accelerators: tuple[str, ...]  # each kind once, such as "T4:1"
    configs: tuple[Mapping[str, Any], ...]
    hours: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrialHours:
    """How long one trial of a new sweep takes on the reference."""

    mean: float  # what a sweep's trials add up to, by their number
    median: float
    spread: Quantiles  # of a single trial
    studies: int
    trials: int  # past ones
    reference: str | None  # accelerator; None: nobody knows
    sigma: float  # standard deviation of the logarithm of the mean: how far the new sweep may be off
    by_configuration: bool  # whether the configuration tells

    @property
    def text(self) -> str:
        """``from 3 studies: 1.4 h a trial (0.9-2.2)``"""
        told = ", by configuration" if self.by_configuration else ""
        of = counted(self.studies, "study", "studies")
        return f"from {of}: {self.median:.2g} h a trial ({self.spread.p10:.2g}-{self.spread.p90:.2g}){told}"


@dataclass(frozen=True, slots=True, eq=False)
class _Law:
    """Log hours of a configuration: a level, and so much for each column."""

    weights: Array
    centre: Array
    noise: float  # standard deviation of what is left

    def at(self, points: Array) -> Array:
        return np.asarray((points - self.centre) @ self.weights)


def past_times(study: StudyRecord, *, hour_s: float, epochs: int | None) -> PastTimes | None:
    """The times of a study's whole trials; None where fewer than three were measured, as in most imports.

    Where fewer than three were whole, those that were stopped early count too, by the epoch.

    Args:
        hour_s: wall clock of a billed hour when it ran.
        epochs: of the new sweep's trials: a past one of more or fewer counts by the epoch. None: as long as it was.
    """
    timed = [t for t in study.trials if math.isfinite(t.seconds) and t.seconds > 0]
    done = [t for t in timed if t.state is TrialState.COMPLETED]
    if len(done) < LEAST_TIMES and epochs:
        done += [t for t in timed if t.state is TrialState.PRUNED and t.epoch]
    if len(done) < LEAST_TIMES:
        return None
    hours = tuple(t.seconds / hour_s * (epochs / t.epoch if epochs and t.epoch else 1.0) for t in done)
    kinds = tuple(sorted({machine.accelerators for machine in study.machines}))
    return PastTimes(study.id, kinds or (UNKNOWN,), tuple(t.params for t in done), hours)


def trial_hours(
    past: Sequence[PastTimes],
    space: Space,
    *,
    first: Sequence[Mapping[str, Any]] = (),
    trials: int | None = None,
    reference: str | None = None,
    alike: bool = False,
) -> TrialHours | None:
    """What a trial of a new sweep takes; None where no past study says it.

    Args:
        first: configurations that it will try first; the others are taken to lie anywhere in the space.
        trials: of the new sweep.
        reference: accelerator to give hours on; None: the one that most past trials ran on.
        alike: whether all machines are this one, whatever they are called.
    """
    chosen = UNKNOWN if alike else reference or _most_common(past)
    known = [(each, 1.0 if alike else _speed(each.accelerators, chosen)) for each in past]
    usable = [(each, math.log(speed)) for each, speed in known if speed is not None]
    if not usable:
        return None
    logs = [np.log(np.array(each.hours)) + shift for each, shift in usable]
    points = [encode(space, each.configs) for each, _ in usable]
    law = _law(points, logs)
    levels = [float((log if law is None else log - law.at(at)).mean()) for at, log in zip(points, logs, strict=True)]
    level, sizes = fmean(levels), [len(log) for log in logs]
    if law is None:
        hours = np.exp(level + np.concatenate([log - own for log, own in zip(logs, levels, strict=True)]))
        mean = float(hours.mean())
    else:
        anywhere, own = (np.exp(level + law.at(at)) for at in (random_points(space), encode(space, first)))
        rest = max((trials or len(anywhere)) - len(own), 0)
        above = math.exp(0.5 * law.noise**2)  # by which the mean of a lognormal lies above its median
        mean = above * float(own.sum() + rest * anywhere.mean()) / (len(own) + rest)
        hours = np.concatenate([anywhere * math.exp(law.noise * z) for z in (-1.28, 0.0, 1.28)])
    low, middle, high = (float(np.quantile(hours, part)) for part in (0.1, 0.5, 0.9))
    name = chosen.partition(":")[0] or None
    return TrialHours(
        *(mean, middle, Quantiles(mean, low, high), len(usable), sum(sizes), name), _sigma(levels), law is not None
    )


def _most_common(past: Sequence[PastTimes]) -> str:
    """The kind that most trials ran on, of studies that ran on one."""
    counts: Counter[str] = Counter()
    for each in past:
        counts[each.accelerators[0]] += len(each.hours) if len(each.accelerators) == 1 else 1
    return max(sorted(counts), key=lambda kind: (kind != UNKNOWN, counts[kind]), default=UNKNOWN)


def _speed(kinds: Sequence[str], reference: str) -> float | None:
    """How fast machines were against the reference; a sweep that moved between kinds was on all of them alike."""
    speeds = [_speed_of(kind, reference) for kind in kinds]
    known = [speed for speed in speeds if speed is not None]
    return math.exp(fmean(math.log(speed) for speed in known)) if len(known) == len(speeds) else None


def _speed_of(kind: str, reference: str) -> float | None:
    if kind == reference or kind.partition(":")[0] == reference:
        return 1.0
    if UNKNOWN in (kind, reference):
        return None
    try:
        found = relative_speed(kind, reference)
    except CostModelError:  # an imported study may call a machine anything
        return None
    return None if found is None else found.factor


def _law(points: Sequence[Array], logs: Sequence[Array]) -> _Law | None:
    """None where configurations do not clearly tell: judged on trials that were left out of the fit."""
    if sum(len(log) for log in logs) < LEAST_FITTED:
        return None
    folds = [np.arange(len(log)) % FOLDS for log in logs]
    left, before = 0.0, 0.0
    for fold in range(FOLDS):
        kept = [each != fold for each in folds]
        weights = _ridge(
            [p[k] for p, k in zip(points, kept, strict=True)], [y[k] for y, k in zip(logs, kept, strict=True)]
        )
        for p, y, k in zip(points, logs, kept, strict=True):
            off = y[~k] - y[k].mean()
            before += float(off @ off)
            off = off - (p[~k] - p[k].mean(axis=0)) @ weights
            left += float(off @ off)
    if left > CLEARLY * before:
        return None
    centre = np.concatenate(points).mean(axis=0)
    return _Law(_ridge(points, logs), centre, math.sqrt(left / sum(len(log) for log in logs)))


def _ridge(points: Sequence[Array], logs: Sequence[Array]) -> Array:
    """Weights of the columns, whatever the levels of the studies are."""
    x = np.concatenate([each - each.mean(axis=0) for each in points])
    y = np.concatenate([each - each.mean() for each in logs])
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))


def _sigma(levels: Sequence[float]) -> float:
    """How far a further study may lie from the mean of these."""
    if len(levels) == 1:
        return ONE_STUDY_SIGMA
    return max(LEAST_SIGMA, stdev(levels) * math.sqrt(1 + 1 / len(levels)))


REAL_HOUR_S = 3600.0


DISAGREES = 2.0  # times as long, or as short: more than a person's figure is mostly off


def related_hours(
    job: JobSpec, warm_start: WarmStart | None, attempts: Iterable[Attempt], known: MarketSnapshot
) -> TrialHours | None:
    """What a trial of this sweep takes by its related studies; None where they do not say."""
    if job.sweep is None or warm_start is None or not warm_start.studies:
        return None
    past = [related.study for related in warm_start.studies]
    reference = job.work.reference if job.work is not None and job.work.hours is not None else None
    return trial_hours(
        fitting_times(past, attempts, known, job.work.epochs if job.work else None),
        job.sweep.space_spec,
        first=[config.params for config in warm_start.first],
        trials=job.sweep.most_trials,
        reference=reference,
        alike=known.one_machine,
    )


def fitting_times(
    studies: Sequence[StudyRecord], attempts: Iterable[Attempt], known: MarketSnapshot, epochs: int | None
) -> list[PastTimes]:
    """The times of studies that ran at this market's pace: emulated hours say nothing about real ones."""
    found = [past_times(s, hour_s=float(known.hour_s), epochs=epochs) for s in _at_this_pace(studies, attempts, known)]
    return [times for times in found if times is not None]


def unused_times(job: JobSpec, warm_start: WarmStart | None, attempts: Iterable[Attempt], known: MarketSnapshot) -> str:
    """Why the related studies of a sweep do not say how long its trials take, for people; "" where there are none.

    Only where ``related_hours`` knows nothing.
    """
    if job.sweep is None or warm_start is None or not warm_start.studies:
        return ""
    past = [related.study for related in warm_start.studies]
    at_pace = {study.id for study in _at_this_pace(past, attempts, known)}
    epochs = job.work.epochs if job.work else None
    reasons = []
    for study in past:
        if study.id not in at_pace:
            why = "ran at another pace: an emulated hour says nothing of a real one, nor of another market's"
        elif past_times(study, hour_s=float(known.hour_s), epochs=epochs) is None:
            unless = "" if epochs else ", or those stopped early where work.epochs is stated"
            why = f"has times of fewer than {LEAST_TIMES} whole trials{unless}"
        else:
            why = "ran on machines whose speeds nobody has compared"
        reasons.append(f"{study.id} {why}")
    return f"related studies do not say how long trials take: {'; '.join(reasons)}"


def _at_this_pace(
    studies: Sequence[StudyRecord], attempts: Iterable[Attempt], known: MarketSnapshot
) -> list[StudyRecord]:
    kinds: dict[str, set[tuple[float, CostBasis]]] = {}
    for attempt in attempts:
        kinds.setdefault(attempt.run_id, set()).add((float(attempt.hour_s), attempt.cost_basis))
    here = (float(known.hour_s), known.cost_basis)
    found = []
    for study in studies:
        ran = kinds.get(study.id) or {_told(study)}
        if ran == {here} or (here[1] is not CostBasis.EMULATED and all(_is_real(kind) for kind in ran)):
            found.append(study)
    return found


def disagreement(job: JobSpec, found: TrialHours | None) -> list[str]:
    """A note where the job file's hours are far from what related trials took."""
    if job.sweep is None or job.work is None or job.work.hours is None or found is None:
        return []
    ratio = found.mean / job.work.hours
    if 1 / DISAGREES <= ratio <= DISAGREES:
        return []
    times = f"{ratio:.2g} times that" if ratio > 1 else f"a {1 / ratio:.2g}th of that"
    took = f"related trials would take {found.mean:.2g} h on average, {times} ({found.text})"
    return [f"work.hours says {job.work.hours:g} h a trial, and is planned with; {took}"]


def _told(study: StudyRecord) -> tuple[float, CostBasis]:
    """Of a study that did not run here: its own word; nobody knows the pace of another's emulated market."""
    emulated = CostBasis.EMULATED.value in study.cost_basis
    return (0.0, CostBasis.EMULATED) if emulated else (REAL_HOUR_S, CostBasis.ESTIMATED)


def _is_real(kind: tuple[float, CostBasis]) -> bool:
    return kind[0] == REAL_HOUR_S and kind[1] is not CostBasis.EMULATED
