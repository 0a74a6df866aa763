"""Which checkpoints of ended runs nobody needs any more: what is kept and why, what can go, and how large it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from spotwise.checkpoints.errors import StorageError
from spotwise.checkpoints.removal import StoredSize, remove_checkpoints, stored_size
from spotwise.checkpoints.storage import storage_for

from ..core.errors import JobFileError
from ..core.run import Run, RunKind
from ..core.study import StudyRecord
from ..jobfile.job_spec import JobSpec, parse_job
from .workloads import checkpoint_url, trial_checkpoint_url


class Need(StrEnum):
    """Who needs a run's checkpoints; of several, the first in this order."""

    RUN_LIVES = "the run goes on"
    CHAMPION = "a champion of the model registry"
    NEWEST_MODEL = "newest run of a retraining job: it may still be promoted"
    YOUNG = "ended too lately"
    UNREADABLE = "its job file cannot be read"
    BEST_TRIAL = "one of the best trials"
    NOBODY = "nobody needs them"


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """What may go beside what somebody needs: by age and by run."""

    older_than: timedelta
    runs: Collection[str] = ()  # only these; empty: all
    best_trials: int = 1  # of each sweep, whose checkpoints stay


@dataclass(frozen=True, slots=True)
class RetentionWorld:
    """What is known when it is decided."""

    runs: tuple[Run, ...]
    studies: Mapping[str, StudyRecord]  # of sweeps, by run
    champions: frozenset[str]  # runs whose model is one
    now: datetime


@dataclass(frozen=True, slots=True)
class StoredCheckpoints:
    """A folder or URL of checkpoints: a run's, or a trial's."""

    run_id: str
    trial: int | None  # None: of a run that is no sweep
    url: str
    need: Need


@dataclass(frozen=True, slots=True)
class SizedCheckpoints:
    """The same with what lies there."""

    place: StoredCheckpoints
    size: StoredSize
    fault: str = ""  # for people: why it could not be read, or not be removed


def judged(world: RetentionWorld, terms: RetentionTerms) -> list[StoredCheckpoints]:
    """Each place with who needs it, oldest run first. Pure."""
    newest = _newest_models(world.runs)
    found: list[StoredCheckpoints] = []
    for run in world.runs:
        if terms.runs and run.id not in terms.runs:
            continue
        need = _need(run, world, terms, newest)
        try:
            job = parse_job(run.job_yaml, source=run.id)
        except JobFileError:
            found.append(StoredCheckpoints(run.id, None, run.folder, Need.UNREADABLE))
            continue
        found += _places(run, job, need, world.studies.get(run.id), terms)
    return found


def needed_runs(world: RetentionWorld, terms: RetentionTerms) -> frozenset[str]:
    """Runs of which somebody needs what they left, and those that ``terms`` do not speak of."""
    newest = _newest_models(world.runs)
    spoken_of = terms.runs or {run.id for run in world.runs}
    return frozenset(
        run.id for run in world.runs if run.id not in spoken_of or _need(run, world, terms, newest) is not Need.NOBODY
    )


def sized(places: Collection[StoredCheckpoints]) -> Iterator[SizedCheckpoints]:
    """Those where something lies, or that cannot be read."""
    for place in places:
        try:
            size = stored_size(storage_for(place.url))
        except (OSError, StorageError) as fault:
            yield SizedCheckpoints(place, StoredSize(), str(fault))
            continue
        if size.files:
            yield SizedCheckpoints(place, size)


def remove(found: SizedCheckpoints) -> SizedCheckpoints | None:
    """Remove what nobody needs; None, or what is still there and why."""
    if found.place.need is not Need.NOBODY:
        raise ValueError(f"{found.place.url} is needed: {found.place.need.value}")
    try:
        remove_checkpoints(storage_for(found.place.url))
    except (OSError, StorageError) as fault:
        return SizedCheckpoints(found.place, found.size, str(fault))
    return None


def _newest_models(runs: tuple[Run, ...]) -> dict[str, str]:
    """The newest run of each retraining job; runs are oldest first."""
    return {run.job_name: run.id for run in runs if run.kind is RunKind.RETRAINING}


def _need(run: Run, world: RetentionWorld, terms: RetentionTerms, newest: Mapping[str, str]) -> Need:
    if not run.state.is_final or run.ended_at is None:
        return Need.RUN_LIVES
    if run.id in world.champions:
        return Need.CHAMPION
    if newest.get(run.job_name) == run.id:
        return Need.NEWEST_MODEL
    return Need.YOUNG if run.ended_at > world.now - terms.older_than else Need.NOBODY


def _places(
    run: Run, job: JobSpec, need: Need, study: StudyRecord | None, terms: RetentionTerms
) -> Iterator[StoredCheckpoints]:
    if job.sweep is None:
        yield StoredCheckpoints(run.id, None, checkpoint_url(run, job), need)
        return
    if study is None:
        return  # nobody knows which trials were good: the study was forgotten, or the run has not begun
    best = {trial.number for trial in study.best_trials(terms.best_trials)}
    for trial in study.trials:
        of_trial = Need.BEST_TRIAL if need is Need.NOBODY and trial.number in best else need
        yield StoredCheckpoints(run.id, trial.number, trial_checkpoint_url(run, job, trial.number), of_trial)
