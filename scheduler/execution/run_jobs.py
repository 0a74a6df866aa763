"""The jobs of the runs that a supervisor drives, and what they do on their machines; each is read once."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import UnreadableRunError
from ..core.run import Run
from ..jobfile.job_spec import JobSpec
from .stored_job import job_that_only_ends, stored_job
from .workloads import Workload, workload_for


@dataclass(frozen=True, slots=True)
class RunJob:
    """A run's job and workload; where the job cannot be read, stand-ins that only follow attempts to their end."""

    job: JobSpec
    workload: Workload
    unreadable: str = ""  # why, for people; "": it can be read


class RunJobs:
    """By run."""

    def __init__(self) -> None:
        self._known: dict[str, RunJob] = {}

    def of(self, run: Run) -> RunJob:
        """The run's job; a job file that cannot be read is no error here."""
        if run.id not in self._known:
            self._known[run.id] = _read(run)
        return self._known[run.id]

    def forget(self, run_id: str) -> None:
        """The run has ended."""
        self._known.pop(run_id, None)


def _read(run: Run) -> RunJob:
    try:
        job = stored_job(run)
    except UnreadableRunError as error:
        stand_in = job_that_only_ends()
        return RunJob(stand_in, workload_for(run, stand_in), str(error))
    return RunJob(job, workload_for(run, job))
