"""What a job says about its retraining."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError
from ..jobfile.job_spec import JobSpec
from ..jobfile.schema import Goal
from .calendar import Calendar


@dataclass(frozen=True, slots=True)
class RetrainingTerms:
    """When and on what terms a model is retrained."""

    model: str  # its name in the registry
    calendar: Calendar
    metric: str
    goal: Goal
    min_improvement: float


def terms_of(job: JobSpec, *, default_timezone: str = "UTC") -> RetrainingTerms:
    """The terms of a retraining job.

    Raises:
        InputError: the job has no ``retrain:``.
    """
    retrain = job.retrain
    if retrain is None:
        raise InputError(f"job {job.name} has no retrain: key; run it once with `spotwise submit`")
    calendar = retrain.triggers.calendar
    return RetrainingTerms(
        model=retrain.model,
        calendar=Calendar(calendar.at, calendar.days, calendar.timezone or default_timezone),
        metric=retrain.gate.metric,
        goal=retrain.gate.goal,
        min_improvement=retrain.gate.min_improvement,
    )
