"""A study as its events tell it: a pure fold, and a feed that re-reads only what changed.

``folder`` is always the study's folder, ``runs/<run id>/study``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

from spotwise.checkpoints.json_lines import SkippedLines

from ...core.study import TrialState
from .events import Asked, EndState, Finished, Reported, Started, StudyEvent, TrialEnded, host_files, read_events

_FINAL_STATES = frozenset({TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED})


class TrialPhase(StrEnum):
    """Where a trial stands, seen from the events alone."""

    ASKED = "asked"  # proposed, never started
    RUNNING = "running"  # a process of its host works on it
    PAUSED = "paused"  # its process is gone and a host will continue it
    FROZEN = "frozen"  # its process is gone and a host may continue it, or end it with the sweep
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self.state is not TrialState.RUNNING

    @property
    def state(self) -> TrialState:
        """The same as records keep it: a trial that is not over is running."""
        return TrialState(self.value) if self.value in _FINAL_STATES else TrialState.RUNNING


@dataclass(frozen=True, slots=True)
class TrialHold:
    """Capacity that a trial held.

    ``end`` is None while it lasts, and for good where the host was killed: then it ends with the attempt.
    """

    attempt: int
    start: datetime
    end: datetime | None
    share: Fraction


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial as the events tell it."""

    number: int
    params: dict[str, Any]
    source: str
    note: str
    host: int = 0
    phase: TrialPhase = TrialPhase.ASKED
    epoch: int = 0  # the last epoch seen
    reports: dict[int, float | None] = field(default_factory=dict)  # by epoch; a resumed trial's newest report counts
    end_value: float | None = None
    reason: str = ""
    holds: tuple[TrialHold, ...] = ()

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """(epoch, metric) of every epoch whose metric was a finite number."""
        return tuple((epoch, value) for epoch, value in sorted(self.reports.items()) if value is not None)

    @property
    def value(self) -> float | None:
        """What it ended with, else the last value seen."""
        if self.end_value is not None:
            return self.end_value
        return self.curve[-1][1] if self.curve else None

    @property
    def attempts(self) -> tuple[int, ...]:
        """The attempts that it ran in, oldest first."""
        return tuple(sorted({hold.attempt for hold in self.holds}))


@dataclass(frozen=True, slots=True)
class Study:
    """All trials of a sweep, by number."""

    trials: dict[int, TrialView] = field(default_factory=dict)
    finished_hosts: frozenset[int] = frozenset()  # hosts whose share is complete
    newest: Mapping[int, int] = field(default_factory=dict)  # by host: the newest attempt it has spoken from
    updated_at: datetime | None = None
    end_reason: str = ""  # why it ended before all trials were tried

    def unfinished(self) -> tuple[TrialView, ...]:
        """Trials that a host has to start or continue, lowest number first."""
        return tuple(t for _, t in sorted(self.trials.items()) if not t.phase.is_final)


def read_study(folder: Path | str) -> Study:
    """Fold the events of all hosts. A folder that does not exist yet is an empty study."""
    return fold(read_events(Path(folder)))


def fold(events: Iterable[StudyEvent], study: Study | None = None) -> Study:
    """The study after these events, in order. Pure; events of trials that were never asked are skipped."""
    study = study or Study()
    trials, newest = dict(study.trials), dict(study.newest)
    finished, updated_at, end_reason = study.finished_hosts, study.updated_at, study.end_reason
    for event in events:
        updated_at = max(updated_at or event.time, event.time)
        if isinstance(event, Finished):
            finished |= {event.host}
            end_reason = end_reason if event.cause is None else event.reason
            host = event.host
        elif isinstance(event, Asked):
            trial = TrialView(event.trial, event.params, event.source, event.note, event.host)
            host = trials.setdefault(event.trial, trial).host
        elif event.trial in trials:
            host = trials[event.trial].host
            if not trials[event.trial].phase.is_final:
                trials[event.trial] = _apply(trials[event.trial], event)
        else:
            continue
        newest[host] = max(newest.get(host, 0), event.attempt)
    left = {number: _left_behind(trial, newest.get(trial.host, 0)) for number, trial in trials.items()}
    return Study(left, finished, newest, updated_at, end_reason)


def _apply(trial: TrialView, event: Started | Reported | TrialEnded) -> TrialView:
    match event:
        case Started():
            hold = TrialHold(event.attempt, event.time, None, event.share)
            holds = (*_closed(trial.holds, event.attempt, event.time), hold)
            return replace(trial, phase=TrialPhase.RUNNING, reason="", holds=holds)
        case Reported():
            reports = {**trial.reports, event.epoch: event.value}
            return replace(trial, epoch=event.epoch, reports=reports)
        case TrialEnded():
            phase = TrialPhase(event.state.value)
            value = None if event.state in (EndState.PAUSED, EndState.FROZEN) else event.value
            holds = _closed(trial.holds, event.attempt, event.time)
            return replace(trial, phase=phase, end_value=value, reason=event.reason, holds=holds)


def _closed(holds: tuple[TrialHold, ...], attempt: int, end: datetime) -> tuple[TrialHold, ...]:
    """End the last hold if it is open and of this attempt; a killed host's hold stays open until its attempt's end."""
    if not holds or holds[-1].end is not None or holds[-1].attempt != attempt:
        return holds
    return (*holds[:-1], replace(holds[-1], end=max(end, holds[-1].start)))


def _left_behind(trial: TrialView, attempt: int) -> TrialView:
    """What a host was running when it was killed is paused as soon as the host speaks from a newer attempt."""
    if trial.phase is TrialPhase.RUNNING and trial.holds and trial.holds[-1].attempt < attempt:
        return replace(trial, phase=TrialPhase.PAUSED, reason="its host was killed")
    return trial


class StudyFeed:
    """A study read again and again, as a supervisor does: files that did not change are not opened."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._study = Study()
        self.skipped: dict[str, SkippedLines] = {}  # by file: lines that were no events

    def new(self) -> Study | None:
        """The study if anything changed since the last call, else None."""
        stamp = tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in host_files(self._folder))
        if stamp == self._stamp:
            return None
        self._stamp, self._study = stamp, fold(read_events(self._folder, self.skipped))
        return self._study

    @property
    def study(self) -> Study:
        """The study as last read."""
        return self._study
