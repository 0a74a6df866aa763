"""What is said of a job that is valid, and may be meant otherwise."""

from __future__ import annotations

import re

from spotwise.checkpoints import Unit

from . import skypilot_keys
from .job_spec import JobSpec
from .trial_variables import unread_parameters

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def notes_on(job: JobSpec, engine: str) -> list[str]:
    """One note for each key of the job that has no effect on this engine, or whose effect is experimental."""
    notes = skypilot_keys.unused_by(engine, job.sky, job.resources or {}, job.num_nodes)
    if job.work is not None and job.work.reference and job.work.hours is None:
        notes.append("work.reference: no effect without work.hours")
    if job.code == "live":
        notes.append("code: live: attempts that start later run the work folder as it is by then")
    if engine != "local" and _moves(job.sky.get("workdir")):
        notes.append("workdir.ref: names no commit: attempts that start later fetch what is newest by then")
    every = job.checkpoint.every
    if job.work is not None and job.work.steps and (every is None or every.unit is not Unit.STEPS):
        notes.append("work.steps: no effect without checkpoint.every: N steps")
    return notes + notes_on_file(job)


def _moves(repository: object) -> bool:
    """Whether it is a Git repository at a branch or tag."""
    return isinstance(repository, dict) and not _COMMIT.fullmatch(str(repository.get("ref", "")))


def notes_on_file(job: JobSpec) -> list[str]:
    """The notes that need no engine and no settings."""
    unread = [] if job.sweep is None else unread_parameters(job.run, job.sweep.space)
    return [*unread, *_experimental(job)]


def _experimental(job: JobSpec) -> list[str]:
    """One note for each key of the job whose effect may change or go."""
    stopping = job.sweep.early_stopping if job.sweep is not None else None
    if stopping is None or stopping.type != "freeze_thaw":
        return []
    return [
        "sweep.early_stopping.type: freeze_thaw is experimental: in whole trainings it is not measurably better than "
        "asha with past configurations (docs/tuning.md)"
    ]
