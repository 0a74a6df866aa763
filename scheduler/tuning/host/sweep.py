"""A sweep while its host runs it: hands out trials, records what happens, decides who goes on. Knows no Ray.

Every change is an event on disk before anything follows from it. Methods may be called from any thread. Once the
host has closed the sweep, because it is preempted, calls of others never return: nothing may be recorded or started
any more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from spotwise.checkpoints.progress import read_progress
from spotwise.checkpoints.stop import EXIT_PREEMPTED

from ...accounting.time_spans import work_kept
from ...core.kept_work import KeptWork
from ..stopping.asha import GO_ON, TrialVerdict
from ..stopping.trial_verdict import fault_at_end, fault_text, judge_report
from ..study.events import Asked, EndState, Finished, Reported, Started, StudyEvent, StudyLog, StudyTail, TrialEnded
from ..study.proposal import Proposal
from ..study.study_state import Study, TrialPhase, TrialView, fold
from ..study.sweep_task import SweepTask
from ..study.trial_value import value_at_end
from .next_trial import NextTrial, Proposes, SetAside, Thaws
from .recovery import missed_reports

KILLED = frozenset({128 + 9, 128 + 15})  # from outside: an operator, or the kernel short of memory
FRUITLESS_STARTS = 3  # a trial that ends this often in a row without a new epoch has failed
EARLY_FAILURES = 3  # if the first trials all fail before one epoch, the command is broken, not the configurations


@dataclass(frozen=True, slots=True)
class TrialExit:
    """How a trial's process ended."""

    code: int
    at: datetime
    log_tail: str = ""
    seen_metrics: tuple[str, ...] = ()  # what it reported, for a message where the sweep's metric is missing


@dataclass(frozen=True, slots=True)
class BrokenSweep:
    """A sweep whose first trials all failed: its command is broken, not their configurations."""

    failed: int  # trials
    last_words: str  # of the last of them

    @property
    def explanation(self) -> str:
        return f"the first {self.failed} trials all failed before their first epoch. The last one: {self.last_words}"


class LiveSweep:
    """The one writer of a host's study events."""

    def __init__(
        self,
        task: SweepTask,
        log: StudyLog,
        study: Study,
        proposer: Proposes,
        *,
        now: Callable[[], datetime],
        say: Callable[[str], None],
        kill: Callable[[int], None],
        leave: Callable[[int], None],
        freeze_thaw: Thaws | None = None,
    ) -> None:
        """Args:
        say: gets one line for people.
        kill: ends the process of a trial, by number.
        leave: asks it to save and leave.
        freeze_thaw: where trials are set aside, chooses what goes on.
        """
        self._task, self._log, self._study = task, log, study
        self._choices = NextTrial(task, proposer, freeze_thaw)
        self._now, self._say, self._kill, self._leave = now, say, kill, leave
        self._lock = threading.RLock()
        self._closed = False
        self._live: set[int] = set()
        self._leaving: dict[int, SetAside] = {}  # trials that are asked to leave, to be set aside
        self._others = StudyTail(task.study_folder, log.path) if task.hosts > 1 else None
        self._fruitless: Counter[int] = Counter()
        self._reached_at_start: dict[int, tuple[int, KeptWork]] = {}

    @property
    def study(self) -> Study:
        return self._study

    @property
    def broken(self) -> BrokenSweep | None:
        """That going on makes no sense; None while it does."""
        first = [trial for _, trial in sorted(self._study.trials.items())][: self._probe()]
        if len(first) < self._probe() or any(t.phase is not TrialPhase.FAILED or t.reports for t in first):
            return None
        return BrokenSweep(len(first), first[-1].reason)

    @property
    def is_over(self) -> bool:
        """All trials of this host have come to an end or are set aside, and no other is to be started."""
        return self._choices.is_over(self._study)

    def take(self) -> TrialView | None:
        """The next trial to run: an unfinished one if there is any, else a new one; None if none may start now."""
        with self._turn():
            if len(self._live) >= self._task.parallel or self.broken is not None:
                return None
            self._listen()
            waiting = [trial for trial in self._choices.waiting(self._study) if trial.number not in self._live]
            trial = waiting[0] if waiting else self._chosen()
            if trial is not None:
                self._live.add(trial.number)
            return trial

    def started(self, number: int, at: datetime) -> None:
        """Its process runs."""
        with self._turn():
            trial = self._study.trials[number]
            self._reached_at_start[number] = self._reached(number)
            self._record(Started(at, self._task.attempt, number, Fraction(1, self._task.parallel)))
            again = f"continues (epoch {trial.epoch} was the last seen)" if trial.holds else "starts"
            self._say(f"trial {number} {again}: {_params(trial)}{f' [{trial.note}]' if trial.note else ''}")

    def reported(self, number: int, epoch: int, value: float | None, at: datetime) -> TrialVerdict:
        """An epoch is done; says whether the trial goes on. Epochs repeated after a resume are not judged again."""
        with self._turn():
            self._listen()
            seen = max(self._study.trials[number].reports, default=0)
            self._record(Reported(at, self._task.attempt, number, epoch, value))
            shown = "is not a finite number" if value is None else f"{value:.6g}"
            self._say(f"trial {number} epoch {epoch}: {self._task.metric} {shown}")
            verdict = judge_report(self._study, number, self._task) if epoch > seen else GO_ON
            if verdict.stop:
                self._kill(number)
                self._end(number, EndState.PRUNED, self._now(), verdict.reason)
            elif epoch > seen:
                self._set_aside_if_outbid(number)
            return verdict

    def exited(self, number: int, exit_: TrialExit) -> bool:
        """Its process is gone; says whether it is to be started again at once, from its last checkpoint."""
        with self._turn():
            trial = self._study.trials[number]
            if exit_.code == 0:
                fault = fault_at_end(trial)
                said = "" if fault is None else fault_text(fault, self._task.metric, exit_.seen_metrics)
                self._end(number, EndState.COMPLETED if fault is None else EndState.FAILED, exit_.at, said)
                return False
            if number in self._leaving:  # some programs end with an error when they are told to leave
                self._end(number, EndState.FROZEN, exit_.at, self._leaving[number].reason)
                return False
            if exit_.code == EXIT_PREEMPTED or exit_.code in KILLED:
                return self._continues(number, exit_)
            self._end(number, EndState.FAILED, exit_.at, f"exit code {exit_.code}; {_last_words(exit_)}")
            return False

    def lost(self, number: int) -> None:
        """The worker that watched it is gone. The trial is taken up again as one that was preempted.

        Its program may have outlived the worker: it is ended first, as two must never write one checkpoint.
        """
        with self._turn():
            if number in self._live and not self._study.trials[number].phase.is_final:
                self._kill(number)
                self._catch_up(number)
            if number in self._live and not self._study.trials[number].phase.is_final:
                self._continues(number, TrialExit(EXIT_PREEMPTED, self._now(), "its worker process was lost"))
            self._live.discard(number)
            self._leaving.pop(number, None)

    def finish(self) -> None:
        """Record that this host's share of the sweep is complete. What is set aside stays so."""
        with self._turn():
            for trial in self._choices.frozen(self._study):
                reason = f"set aside after epoch {trial.epoch}, and others promised more to the end"
                self._end(trial.number, EndState.PRUNED, self._now(), reason)
            early = self._choices.early_end(self._study)
            cause, reason = (None, "") if early is None else (early.cause, early.reason)
            self._record(Finished(self._now(), self._task.attempt, self._task.host, reason, cause))

    def close(self) -> tuple[int, ...]:
        """From now on only ``pause`` records. Returns the trials that were handed out and have not ended."""
        with self._lock:
            self._closed = True
            return tuple(sorted(self._live))

    def pause(self, number: int, at: datetime, reason: str) -> None:
        """Its process is gone because the host is closing; another host continues it."""
        with self._lock:
            if self._study.trials[number].phase is TrialPhase.RUNNING:
                self._end(number, EndState.PAUSED, at, reason)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if not self._closed:
                yield
                return
        threading.Event().wait()  # for ever: the host is leaving, and takes this thread with it

    def _record(self, event: StudyEvent) -> None:
        self._log.append(event)
        self._study = fold([event], self._study)

    def _chosen(self) -> TrialView | None:
        choice = self._choices.next(self._study, self._live)
        if choice is None:
            return None
        return self._begun(choice) if isinstance(choice, Proposal) else self._study.trials[choice.number]

    def _set_aside_if_outbid(self, number: int) -> None:
        outbid = None if number in self._leaving else self._choices.outbids(self._study, number, self._live)
        if outbid is not None:
            self._leaving[number] = outbid
            self._leave(number)

    def _begun(self, proposal: Proposal) -> TrialView:
        what = (proposal.number, proposal.params, proposal.source, proposal.note)
        self._record(Asked(self._now(), self._task.attempt, *what, self._task.host))
        return self._study.trials[proposal.number]

    def _listen(self) -> None:
        """Take in what the other hosts have written since."""
        if self._others is not None:
            self._study = fold(self._others.new(), self._study)

    def _probe(self) -> int:
        return EARLY_FAILURES if self._task.trials is None else min(EARLY_FAILURES, self._task.trials)

    def _catch_up(self, number: int) -> None:
        """Record what its program reported and nobody passed on."""
        records = read_progress(str(self._task.trial_folder(number).progress))
        for event in list(missed_reports(self._study, {number: records}, self._task)):
            self._record(event)

    def _continues(self, number: int, exit_: TrialExit) -> bool:
        gained = self._reached(number) > self._reached_at_start.get(number, (0, KeptWork()))
        self._fruitless[number] = 0 if gained else self._fruitless[number] + 1
        if self._fruitless[number] >= FRUITLESS_STARTS:
            reason = f"ended {FRUITLESS_STARTS} times without progress (exit code {exit_.code}); {_last_words(exit_)}"
            self._end(number, EndState.FAILED, exit_.at, reason)
            return False
        self._record(self._ended(number, EndState.PAUSED, exit_.at, f"exit code {exit_.code}"))
        return True

    def _reached(self, number: int) -> tuple[int, KeptWork]:
        """How far a trial is: the last epoch seen, and what its checkpoints hold, since one epoch may take long."""
        return self._study.trials[number].epoch, work_kept(read_progress(str(self._task.trial_folder(number).progress)))

    def _end(self, number: int, state: EndState, at: datetime, reason: str) -> None:
        self._record(self._ended(number, state, at, reason))
        self._live.discard(number)
        self._leaving.pop(number, None)
        trial = self._study.trials[number]
        when = f"at the best of {trial.epoch} epochs" if self._task.by_best_epoch else f"after epoch {trial.epoch}"
        value = "" if trial.value is None else f" ({self._task.metric} {trial.value:.6g} {when})"
        self._say(f"trial {number} {state.value}{value}{': ' + reason if reason else ''}")

    def _ended(self, number: int, state: EndState, at: datetime, reason: str) -> TrialEnded:
        trial = self._study.trials[number]
        return TrialEnded(at, self._task.attempt, number, state, value_at_end(trial, self._task), trial.epoch, reason)


def _last_words(exit_: TrialExit) -> str:
    return f"its last lines:\n{exit_.log_tail}" if exit_.log_tail else "it printed nothing"


def _params(trial: TrialView) -> str:
    return ", ".join(f"{k}={f'{v:.4g}' if isinstance(v, float) else v}" for k, v in trial.params.items())
