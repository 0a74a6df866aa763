"""Studies as records: from a host's events, and to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spotwise.checkpoints.progress import read_progress

from ...core.study import StudyRecord, TrialRecord
from .study_state import Study, TrialView


def to_record(
    study: Study,
    *,
    run_folder: Path | str,
    id: str,  # noqa: A002 - the record's own field
    job_name: str,
    metric: str,
    goal: str,
    space: dict[str, dict[str, Any]],
    created_at: datetime,
    now: datetime,
    attempt_ends: Mapping[int, datetime] | None = None,
    labels: Mapping[str, str] | None = None,
    costs: Mapping[int, Decimal] | None = None,
) -> StudyRecord:
    """The study as the store keeps it.

    Args:
        run_folder: ``runs/<run id>``; each trial's ``progress.jsonl`` tells where its resumes continued.
        now: ends the holds that last.
        attempt_ends: when attempts ended, by number: ends the holds of hosts that were killed.
        costs: USD by trial number, where booked.
    """
    trials = Path(run_folder) / "trials"
    ends = dict(attempt_ends or {})
    return StudyRecord(
        id=id,
        job_name=job_name,
        metric=metric,
        goal=goal,
        space=space,
        created_at=created_at,
        labels=dict(labels or {}),
        trials=tuple(
            _trial(trial, trials / f"{number:04d}" / "progress.jsonl", ends, now, (costs or {}).get(number))
            for number, trial in sorted(study.trials.items())
        ),
    )


def _trial(
    trial: TrialView, progress: Path, ends: Mapping[int, datetime], now: datetime, cost: Decimal | None
) -> TrialRecord:
    records = read_progress(str(progress))
    starts = [record.epoch or 0 for record in records if record.event == "started"]
    return TrialRecord(
        number=trial.number,
        params=trial.params,
        state=trial.phase.state,
        value=trial.value,
        epoch=trial.epoch,
        curve=trial.curve,
        source=trial.source,
        note=trial.note,
        resumes=max(0, len(starts) - 1),
        restored_epochs=tuple(starts[1:]),
        seconds=sum((_seconds(hold.start, hold.end or ends.get(hold.attempt, now)) for hold in trial.holds), 0.0),
        gpu_memory_gib=max((record.gpu_memory_gib or 0.0 for record in records), default=0.0) or None,
        cost_usd=cost,
    )


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
