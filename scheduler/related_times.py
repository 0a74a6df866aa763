"""How long trials of related studies took, for the plan of a sweep: which studies count, and what the plan says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .job import JobSpec
from .knowledge import Knowledge
from .learned import Learned
from .run import Attempt, CostBasis
from .study import StudyRecord
from .trial_hours import PastTimes, TrialHours, past_times, trial_hours
from .workloads import space_of

REAL_HOUR_S = 3600.0
DISAGREES = 2.0  # times as long, or as short: more than a person's figure is mostly off


def related_hours(
    job: JobSpec, learned: Learned | None, attempts: Iterable[Attempt], known: Knowledge
) -> TrialHours | None:
    """What a trial of this sweep takes by its related studies; None where they do not say."""
    if job.sweep is None or learned is None or not learned.studies:
        return None
    past = [related.study for related in learned.studies]
    reference = job.work.reference if job.work is not None and job.work.hours is not None else None
    return trial_hours(
        fitting_times(past, attempts, known, job.work.epochs if job.work else None),
        space_of(job),
        first=[config.params for config in learned.first],
        trials=job.sweep.trials,
        reference=reference,
        alike=known.one_machine,
    )


def fitting_times(
    studies: Sequence[StudyRecord], attempts: Iterable[Attempt], known: Knowledge, epochs: int | None
) -> list[PastTimes]:
    """The times of studies that ran at this market's pace: emulated hours say nothing about real ones."""
    kinds: dict[str, set[tuple[float, CostBasis]]] = {}
    for attempt in attempts:
        kinds.setdefault(attempt.run_id, set()).add((float(attempt.hour_s), attempt.cost_basis))
    here = (float(known.hour_s), known.cost_basis)
    found = []
    for study in studies:
        ran = kinds.get(study.id) or {_told(study)}
        if ran == {here} or (here[1] is not CostBasis.EMULATED and all(_is_real(kind) for kind in ran)):
            found.append(past_times(study, hour_s=here[0], epochs=epochs))
    return [times for times in found if times is not None]


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
