"""Before a host starts trials: end what a killed host left behind, and record what it had no time to record."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from spotwise.checkpoints.progress import ProgressEvent, ProgressRecord, read_progress

from ..stopping.trial_verdict import fault_at_end, fault_text, judge_report
from ..study.events import EndState, Finished, Reported, StudyEvent, StudyLog, TrialEnded, read_events
from ..study.metric import metric_of
from ..study.study_state import Study, TrialPhase, TrialView, fold
from ..study.sweep_task import SweepTask, TrialFolder
from ..study.trial_value import value_at_end
from .trial_process import TrialProcess


def recover(task: SweepTask, log: StudyLog) -> Study:
    """The study as it stands, after survivors are ended and the log has caught up with the trials' progress files."""
    end_survivors(task)
    events = list(read_events(task.study_folder))
    missed = list(missed_events(events, task))
    for event in missed:
        log.append(event)
    return fold([*events, *missed])


def end_survivors(task: SweepTask) -> None:
    """Kill trials that this host, killed, left on this machine: two processes must never write one checkpoint."""
    for path in sorted(Path(task.folder).glob("trials/*/pid.json")):
        if not task.owns(int(path.parent.name)):
            continue
        TrialProcess(TrialFolder(path.parent)).kill()


def missed_events(events: Sequence[StudyEvent], task: SweepTask) -> Iterator[StudyEvent]:
    """What ought to follow ``events``, all of the study, and does not. Pure but for reading progress files."""
    study = fold(events)
    late = list(_late_verdicts(events, study, task))
    yield from late
    study = fold(late, study)
    mine = [trial for trial in study.unfinished() if task.owns(trial.number)]
    records = {trial.number: read_progress(str(task.trial_folder(trial.number).progress)) for trial in mine}
    reports = list(missed_reports(study, records, task))
    yield from reports
    study = fold(reports, study)
    for trial in (trial for trial in study.unfinished() if trial.number in records):
        yield from _missed_end(study, trial, records[trial.number], task)


def missed_reports(
    study: Study, records: Mapping[int, Iterable[ProgressRecord]], task: SweepTask
) -> Iterator[Reported | TrialEnded]:
    """What the trials' progress files (``records``, by trial) know and the study does not, each report judged.

    Of several trials the reports come as they did in time, so that they are judged as they would have been.
    """
    unrecorded = [_unrecorded(study.trials[number], found, task) for number, found in records.items()]
    for report in heapq.merge(*unrecorded, key=lambda report: report.time):
        if study.trials[report.trial].phase.is_final:
            continue
        yield report
        study = fold([report], study)
        for pruned in _pruned(study, report, task):
            yield pruned
            study = fold([pruned], study)


def _unrecorded(trial: TrialView, records: Iterable[ProgressRecord], task: SweepTask) -> Iterator[Reported]:
    last = max(trial.reports, default=0)
    for record in records:
        found, value = metric_of(record, task.metric)
        if found and record.epoch > last:
            last = record.epoch
            yield Reported(record.time, task.attempt, trial.number, record.epoch, value)


def _late_verdicts(events: Sequence[StudyEvent], study: Study, task: SweepTask) -> Iterator[TrialEnded]:
    """Ends of trials whose host was killed between recording a report and the end that followed from it.

    The report is judged by what was known when it came: where the host went on, so does this.
    """
    last = {event.trial: index for index, event in enumerate(events) if not isinstance(event, Finished)}
    for trial in (trial for trial in study.unfinished() if task.owns(trial.number)):
        index = last[trial.number]
        report = events[index]
        if isinstance(report, Reported):
            before = fold(event for i, event in enumerate(events) if (event.time, i) < (report.time, index))
            if report.epoch > max(before.trials[trial.number].reports, default=0):
                yield from _pruned(fold([report], before), report, task)


def _pruned(study: Study, report: Reported, task: SweepTask) -> Iterator[TrialEnded]:
    """The end of a trial that falls behind with this report, the last one folded into ``study``."""
    verdict = judge_report(study, report.trial, task)
    if verdict.stop:
        value = value_at_end(study.trials[report.trial], task)
        yield TrialEnded(report.time, task.attempt, report.trial, EndState.PRUNED, value, report.epoch, verdict.reason)


def _missed_end(study: Study, trial: TrialView, records: list[ProgressRecord], task: SweepTask) -> Iterator[TrialEnded]:
    """The end of a trial whose work was done, or of a hold that a killed host of this same attempt left open."""
    attempt, number, value, epoch = task.attempt, trial.number, value_at_end(trial, task), trial.epoch
    if records and records[-1].event is ProgressEvent.FINISHED:
        fault = fault_at_end(trial)
        state, reason = EndState.COMPLETED, "finished as its host was killed"
        if fault is not None:
            seen = sorted({name for record in records for name in record.metrics})
            state, reason = EndState.FAILED, fault_text(fault, task.metric, seen)
        yield TrialEnded(records[-1].time, attempt, number, state, value, epoch, reason)
    elif trial.phase is TrialPhase.RUNNING and trial.holds[-1].attempt == attempt and study.updated_at:
        end = max([study.updated_at, *(record.time for record in records[-1:])])
        yield TrialEnded(end, attempt, number, EndState.PAUSED, value, epoch, "its host was killed")
