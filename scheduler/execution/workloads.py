"""What a run executes, and how far it is: a training program, or a sweep host with its trials.

A workload reads only files that the node and the training side wrote, so any supervisor can pick a run up at any
moment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from spotwise.checkpoints import ProgressReader, ProgressRecord, read_progress, says_finished
from spotwise.checkpoints.json_lines import SkippedLines, first_skipped
from spotwise.checkpoints.settings import KEEP_BEST_VARIABLE

from ..accounting.ledger import Charge, Span
from ..accounting.time_spans import KEPT_EVENTS, CapacityShare, sweep_spans, training_spans, work_kept
from ..accounting.work_points import WorkPoints
from ..core.kept_work import KeptWork
from ..core.progress import Progress
from ..core.run import Attempt, Run
from ..core.study import StudyRecord
from ..core.work_point import TrialPace, WorkPoint
from ..engines.base import LaunchRequest
from ..jobfile.best_epoch import JudgedEpoch
from ..jobfile.job_spec import EarlyStopping, JobSpec, parse_job
from ..jobfile.schema import WorkSpec
from ..tuning.study.study_record import to_record
from ..tuning.study.study_state import StudyFeed, TrialPhase, TrialView
from ..tuning.study.sweep_task import StoppingRule, SweepTask
from ..tuning.study.trial_checkpoints import trial_checkpoints_url
from ..tuning.study.trial_worth import StopRule
from .run_code import source_folder
from .run_secrets import read_secrets
from .study_record import past_studies, with_terms


class Workload(Protocol):
    """One kind of run."""

    def request(self, attempt: Attempt) -> LaunchRequest: ...

    def progress(self) -> Progress: ...

    def points(self) -> Sequence[WorkPoint]:
        """The moments at which it said how far it is, oldest first."""
        ...

    def paces(self) -> Sequence[TrialPace]:
        """What the trials of a sweep took that have ended; none of a training."""
        ...

    def spans(self, attempt: Attempt) -> list[Span]:
        """What an ended attempt did with its time."""
        ...

    def study(self, charges: Sequence[Charge], attempts: Sequence[Attempt], now: datetime) -> StudyRecord | None:
        """The study so far, of a sweep."""
        ...

    def is_done(self, attempt: Attempt) -> bool:
        """Whether all work of an attempt's host is known to be done: it said so, or reached what the job file says."""
        ...

    @property
    def unreadable(self) -> str:
        """The first line of the files read so far that could not be read, for people; "" where all could."""
        ...


def workload_for(run: Run, job: JobSpec) -> Workload:
    """What the run does on its machines: one training, or a sweep."""
    return TrainingWorkload(run, job) if job.sweep is None else SweepWorkload(run, job)


class TrainingWorkload:
    """A training or retraining run: one program, one progress file."""

    def __init__(self, run: Run, job: JobSpec) -> None:
        self._run, self._job = run, job
        self._progress_url = str(Path(run.folder) / "progress.jsonl")
        self._reader = ProgressReader(self._progress_url)
        self._records: list[ProgressRecord] = []
        self._points = WorkPoints(job.work.epochs, job.work.steps) if job.work else WorkPoints(None, None)

    def request(self, attempt: Attempt) -> LaunchRequest:
        job = self._job
        env = {
            "SPOTWISE_CHECKPOINT_URL": checkpoint_url(self._run, job),
            "SPOTWISE_PROGRESS_URL": self._progress_url,
            "SPOTWISE_CHECKPOINT_KEEP": str(job.checkpoint.keep),
            **({KEEP_BEST_VARIABLE: str(job.best_kept)} if job.best_kept else {}),
        }
        return _request(self._run, job, attempt, job.run, env)

    def progress(self) -> Progress:
        self._read()
        newest = self._records[-1] if self._records else None
        shares = [point.share for point in self._points.points if point.is_kept and point.share is not None]
        work = self._job.work
        is_total_known = work is not None and (work.epochs is not None or work.steps is not None)
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in last_metrics(self._records).items())
        kept = work_kept(self._records)
        said = "no progress reported" if newest is None else f"{_position(newest, kept, work)}  {metrics}".rstrip()
        return Progress(max(shares, default=0.0), kept, said, is_total_known=is_total_known)

    def points(self) -> Sequence[WorkPoint]:
        self._read()
        return self._points.points

    def paces(self) -> Sequence[TrialPace]:
        return ()

    def _read(self) -> None:
        new = self._reader.new()
        self._records += new
        self._points.add(new)

    def spans(self, attempt: Attempt) -> list[Span]:
        return training_spans(attempt, read_progress(self._progress_url))

    def study(self, charges: Sequence[Charge], attempts: Sequence[Attempt], now: datetime) -> StudyRecord | None:
        return None

    def is_done(self, attempt: Attempt) -> bool:
        return self.progress().fraction >= 1.0 or says_finished(self._records)

    @property
    def unreadable(self) -> str:
        return first_skipped({"progress.jsonl": self._reader.skipped})


class SweepWorkload:
    """A sweep: the attempt runs the sweep host, and the host runs the trials."""

    def __init__(self, run: Run, job: JobSpec) -> None:
        self._run, self._job = run, job
        self._feed = StudyFeed(Path(run.folder) / "study")
        self._past: tuple[str, ...] | None = None
        self._skipped: dict[str, SkippedLines] = {}  # by trial's file: lines that were no progress
        self._readers: dict[int, ProgressReader] = {}  # by trial
        self._kept: dict[int, list[ProgressRecord]] = {}  # by trial: of its checkpoints
        self._settled: set[int] = set()  # trials that have ended

    def request(self, attempt: Attempt) -> LaunchRequest:
        # -P: a ray.py in the work folder is the user's, not ours
        command = 'exec "$SPOTWISE_PYTHON" -P -m spotwise.scheduler.tuning.host "$SPOTWISE_RUN_FOLDER/sweep.json"'
        env = {
            "SPOTWISE_PYTHON": sys.executable,  # a node elsewhere puts its own Python and folder in their place
            "SPOTWISE_RUN_FOLDER": self._run.folder,
            "SPOTWISE_HOST": str(attempt.host),
            "SPOTWISE_HOSTS": str(self._run.hosts),
            "SPOTWISE_USD_PER_HOUR": str(attempt.offer.price_usd_per_hour * attempt.nodes),
            "SPOTWISE_HOUR_S": str(attempt.hour_s),
            "SPOTWISE_SECRET_NAMES": ",".join(read_secrets(self._run)),
        }
        return replace(_request(self._run, self._job, attempt, command, env), is_sweep=True, hosts=self._run.hosts)

    def progress(self) -> Progress:
        self._feed.new()
        trials = self._feed.study.trials.values()
        ended = sum(trial.phase.is_final for trial in trials)
        pruned = sum(trial.phase is TrialPhase.PRUNED for trial in trials)
        frozen = sum(trial.phase is TrialPhase.FROZEN for trial in trials)
        total = self._job.sweep.most_trials if self._job.sweep else None
        fraction = min(1.0, (ended + frozen) / total) if total else 0.0  # most of the frozen stay so
        kept = KeptWork(sum(trial.epoch for trial in trials), self._steps_kept())
        of = f" of {total}" if total else ""
        aside = f", {frozen} set aside" if frozen else ""
        early = f"; {self._feed.study.end_reason}" if self._feed.study.end_reason else ""
        said = f"{ended}{of} trials ended ({pruned} stopped early{aside}){early}"
        return Progress(fraction, kept, said if trials else "starting")

    def points(self) -> Sequence[WorkPoint]:
        """When each trial began to hold capacity; the first one of an attempt is when its work began."""
        self._feed.new()
        holds = [hold for trial in self._feed.study.trials.values() for hold in trial.holds]
        return [WorkPoint(hold.attempt, hold.start, None, False) for hold in sorted(holds, key=lambda h: h.start)]

    def paces(self) -> Sequence[TrialPace]:
        self._feed.new()
        trials = self._feed.study.trials.values()
        return [_pace(trial) for trial in trials if trial.phase in (TrialPhase.COMPLETED, TrialPhase.PRUNED)]

    def spans(self, attempt: Attempt) -> list[Span]:
        self._feed.new()
        holds = [h for trial in self._feed.study.trials.values() for h in _holds(trial, attempt.number)]
        return sweep_spans(attempt, holds, {hold.trial: self._trial_progress(hold.trial) for hold in holds})

    def study(self, charges: Sequence[Charge], attempts: Sequence[Attempt], now: datetime) -> StudyRecord | None:
        self._feed.new()
        sweep, job = self._job.sweep, self._job
        if sweep is None:
            return None
        if self._past is None:
            self._past = past_studies(Path(self._run.folder) / "sweep.json")
        record = to_record(
            self._feed.study,
            run_folder=self._run.folder,
            id=self._run.id,
            job_name=job.name,
            metric=sweep.metric,
            goal=sweep.goal,
            space=sweep.space_spec,
            created_at=self._run.submitted_at,
            now=now,
            attempt_ends={a.number: a.ended_at for a in attempts if a.ended_at is not None},
            labels={**job.labels, "team": job.team, "project": job.project},
            costs=cost_by_trial(charges),
        )
        return with_terms(record, sweep, attempts, charges, self._past)

    def is_done(self, attempt: Attempt) -> bool:
        self._feed.new()
        return attempt.host in self._feed.study.finished_hosts

    @property
    def unreadable(self) -> str:
        return first_skipped({f"study/{name}": lines for name, lines in self._feed.skipped.items()} | self._skipped)

    def _steps_kept(self) -> int:
        """Of all trials that ever ran. What has ended is read once more, and then remembered."""
        for trial in self._feed.study.trials.values():
            if trial.holds and trial.number not in self._settled:
                reader = self._readers.setdefault(trial.number, ProgressReader(self._trial_file(trial.number)))
                kept = self._kept.setdefault(trial.number, [])
                kept += [record for record in reader.new() if record.event in KEPT_EVENTS]
                if trial.phase.is_final:
                    self._settled.add(trial.number)
        return sum(work_kept(kept).steps for kept in self._kept.values())

    def _trial_file(self, number: int) -> str:
        return str(Path(self._run.folder) / "trials" / f"{number:04d}" / "progress.jsonl")

    def _trial_progress(self, number: int) -> list[ProgressRecord]:
        name = f"trials/{number:04d}/progress.jsonl"
        reader = ProgressReader(self._trial_file(number))
        records, self._skipped[name] = reader.new(), reader.skipped
        return records


def checkpoint_url(run: Run, job: JobSpec | None = None) -> str:
    """Where a training run's checkpoints lie."""
    to = _checkpoint_to(run, job or parse_job(run.job_yaml, source=run.id))
    return to or f"{run.storage or run.folder}/checkpoints"


def trial_checkpoint_url(run: Run, job: JobSpec, number: int) -> str:
    """Where the checkpoints of a sweep's trial lie."""
    return trial_checkpoints_url(run.folder, _sweeps_checkpoints(run, job), number)


def _sweeps_checkpoints(run: Run, job: JobSpec) -> str | None:
    """None: beside the trials."""
    return _checkpoint_to(run, job) or (f"{run.storage}/checkpoints" if run.storage else None)


def _checkpoint_to(run: Run, job: JobSpec) -> str | None:
    """Where the job file wants checkpoints, a folder a run; a relative path counts from the work folder."""
    to = job.checkpoint.to
    if to is None:
        return None
    base = to.rstrip("/") if "://" in to else str(source_folder(run) / Path(to).expanduser())
    return f"{base}/{run.id}"


def write_sweep_task(run: Run, job: JobSpec, priors: Sequence[StudyRecord]) -> None:
    """Write the sweep host's task; done once, at submission, so that every host of the run gets the same."""
    sweep = job.sweep
    if sweep is None:
        return
    stopping, stop = sweep.early_stopping, sweep.stop_when
    task = SweepTask(
        run_id=run.id,
        attempt=1,
        folder=run.folder,
        command=job.run,
        workdir=run.workdir,
        metric=sweep.metric,
        goal=sweep.goal,
        space=sweep.space_spec,
        parallel=sweep.parallel,
        trials=sweep.most_trials if sweep.search == "grid" else sweep.trials,
        early_stopping=None if stopping is None else _rule(stopping),
        epochs=job.work.epochs if job.work else None,
        search=sweep.search,
        seed=sweep.seed,
        keep=job.checkpoint.keep,
        keep_trials=sweep.keep_trials,
        keep_best=str(job.best_kept or ""),
        by_best_epoch=sweep.by is JudgedEpoch.BEST,
        checkpoint_to=_sweeps_checkpoints(run, job),
        priors=tuple(priors),
        stop_when=None if stop is None else StopRule(stop.gain_below, float(stop.per_usd)),
    )
    path = Path(run.folder) / "sweep.json"
    path.write_text(task.to_json(), encoding="utf-8")


def _rule(stopping: EarlyStopping) -> StoppingRule:
    freezes = stopping.type == "freeze_thaw"
    return StoppingRule(stopping.grace_epochs, stopping.reduction_factor, freezes=freezes)


def cost_by_trial(charges: Sequence[Charge]) -> dict[int, Decimal]:
    """USD by trial number."""
    costs: dict[int, Decimal] = {}
    for charge in charges:
        if charge.trial is not None:
            costs[charge.trial] = costs.get(charge.trial, Decimal(0)) + charge.amount_usd
    return costs


def last_metrics(records: Sequence[ProgressRecord]) -> Mapping[str, float]:
    """The newest metrics that a program reported; {} before the first."""
    return next((record.metrics for record in reversed(records) if record.metrics), {})


def _pace(trial: TrialView) -> TrialPace:
    held = tuple((h.attempt, (h.end - h.start).total_seconds()) for h in trial.holds if h.end is not None)
    return TrialPace(trial.epoch, trial.phase is TrialPhase.COMPLETED, held)


def _position(newest: ProgressRecord, kept: KeptWork, work: WorkSpec | None) -> str:
    """Where a training is, in what the job file counts, or else in what the program does."""
    epochs, steps = (work.epochs, work.steps) if work is not None else (None, None)
    in_steps = steps is not None or (epochs is None and newest.epoch == 0 and newest.step > 0)
    at, held, total = (newest.step, kept.steps, steps) if in_steps else (newest.epoch, kept.epochs, epochs)
    text = f"{'step' if in_steps else 'epoch'} {at}{f' of {total}' if total else ''}, {held} kept"
    return text if in_steps or kept.epochs or not kept.steps else f"{text} (step {newest.step}, {kept.steps} kept)"


def _holds(trial: TrialView, attempt: int) -> list[CapacityShare]:
    """A trial's holds within one attempt. Only the last of all holds ended with the trial."""
    last = len(trial.holds) - 1
    ended = trial.phase.value if trial.phase.is_final else ""
    return [
        CapacityShare(trial.number, hold.start, hold.end, hold.share, ended if i == last else "")
        for i, hold in enumerate(trial.holds)
        if hold.attempt == attempt
    ]


def _request(run: Run, job: JobSpec, attempt: Attempt, command: str, env: Mapping[str, str]) -> LaunchRequest:
    secrets = read_secrets(run)
    return LaunchRequest(
        attempt_id=attempt.id,
        run_id=run.id,
        offer=attempt.offer,
        setup=job.setup,
        command=command,
        workdir=run.workdir,
        folder=run.folder,
        env={
            **{name: str(value) for name, value in job.envs.items() if name not in secrets},
            **env,
            **({"SPOTWISE_CHECKPOINT_EVERY": attempt.checkpoint_every} if attempt.checkpoint_every else {}),
            "SPOTWISE_RUN_ID": run.id,
            "SPOTWISE_ATTEMPT": str(attempt.number),
            "PYTHONUNBUFFERED": "1",  # logs as they happen, and whole when the process is killed
        },
        nodes=attempt.nodes,
        run_url=run.storage,
        task={**job.sky, **_whole_paths(run, job), "resources": job.resources or {}},
        secrets=secrets,
    )


def _whole_paths(run: Run, job: JobSpec) -> dict[str, Any]:
    """The job file's folders and files as they were found at submission: SkyPilot would count from our folder."""
    mounts: dict[str, Any] = json.loads(run.mounts_json)
    return {**mounts, "workdir": run.workdir} if job.workdir else mounts
