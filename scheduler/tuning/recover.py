"""Before a host starts trials: end what a killed host left behind, and record what it had no time to record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spotwise.checkpoints.progress import ProgressEvent, ProgressRecord, read_progress

from .events import Ended, EndState, Event, Reported, StudyLog
from .processes import ProcessId
from .reports import metric_of
from .task import SweepTask
from .view import Study, TrialPhase, TrialView, fold, read_study


def recover(task: SweepTask, log: StudyLog) -> Study:
    """The study as it stands, after survivors are ended and the log has caught up with the trials' progress files."""
    end_survivors(task)
    study = read_study(task.study_folder)
    missed = list(missed_events(study, task))
    for event in missed:
        log.append(event)
    return fold(missed, study)


def end_survivors(task: SweepTask) -> None:
    """Kill trials that a killed host left on this machine: two processes must never write one checkpoint."""
    for path in sorted(Path(task.folder).glob("trials/*/pid.json")):
        survivor = ProcessId.load(path)
        if survivor is not None:
            survivor.kill()
        path.unlink(missing_ok=True)


def missed_events(study: Study, task: SweepTask) -> Iterator[Event]:
    """What the progress files know and the events do not. Pure but for reading those files."""
    for trial in study.unfinished():
        records = read_progress(str(task.trial_folder(trial.number).progress))
        reports = list(_missed_reports(trial, records, task))
        yield from reports
        yield from _missed_end(fold(reports, study), trial.number, records, task)


def _missed_reports(trial: TrialView, records: Iterable[ProgressRecord], task: SweepTask) -> Iterator[Reported]:
    last = max(trial.reports, default=0)
    for record in records:
        found, value = metric_of(record, task.metric)
        if found and record.epoch > last:
            last = record.epoch
            yield Reported(record.time, task.attempt, trial.number, record.epoch, value)


def _missed_end(study: Study, number: int, records: list[ProgressRecord], task: SweepTask) -> Iterator[Ended]:
    """The end of a trial that had finished, or of a hold that a killed host of this same attempt left open."""
    trial = study.trials[number]
    attempt, value, epoch = task.attempt, trial.value, trial.epoch
    if records and records[-1].event is ProgressEvent.FINISHED and value is not None:
        yield Ended(
            records[-1].time, attempt, number, EndState.COMPLETED, value, epoch, "finished as its host was killed"
        )
    elif trial.phase is TrialPhase.RUNNING and trial.holds[-1].attempt == attempt and study.updated_at:
        end = max([study.updated_at, *(record.time for record in records[-1:])])
        yield Ended(end, attempt, number, EndState.PAUSED, value, epoch, "its host was killed")
