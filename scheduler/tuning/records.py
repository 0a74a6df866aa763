"""Studies as records: from a host's events, and to and from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spotwise.checkpoints.progress import read_progress

from ..study import Machine, StudyRecord, TaskDescription, TrialRecord, TrialState
from .view import Study, TrialPhase, TrialView

_STATES = {
    TrialPhase.COMPLETED: TrialState.COMPLETED,
    TrialPhase.PRUNED: TrialState.PRUNED,
    TrialPhase.FAILED: TrialState.FAILED,
}


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
        state=_STATES.get(trial.phase, TrialState.RUNNING),
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


def study_to_json(record: StudyRecord) -> dict[str, Any]:
    """The record as a JSON object: money as decimal strings, times ISO 8601."""
    fields = {name: getattr(record, name) for name in StudyRecord.__dataclass_fields__}
    fields["created_at"] = record.created_at.isoformat()
    fields["trials"] = [_trial_to_json(trial) for trial in record.trials]
    fields["task"] = None if record.task is None else asdict(record.task)
    fields["machines"] = [asdict(machine) for machine in record.machines]
    fields["cost_usd"] = None if record.cost_usd is None else str(record.cost_usd)
    fields["priors"] = list(record.priors)
    return fields


def _trial_to_json(trial: TrialRecord) -> dict[str, Any]:
    fields = {name: getattr(trial, name) for name in TrialRecord.__dataclass_fields__}
    fields["state"] = trial.state.value
    fields["cost_usd"] = None if trial.cost_usd is None else str(trial.cost_usd)
    return fields


def same_study(one: StudyRecord, other: StudyRecord) -> bool:
    """Whether two records say the same, wherever they were read."""
    texts = {json.dumps({**study_to_json(record), "origin": ""}, sort_keys=True) for record in (one, other)}
    return len(texts) == 1


def study_from_json(data: Mapping[str, Any]) -> StudyRecord:
    """The record of a JSON object, which may be an older one.

    Raises:
        KeyError, TypeError, ValueError: it is no study record.
    """
    fields = dict(data)
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    fields["trials"] = tuple(_trial_from_json(trial) for trial in fields["trials"])
    task = fields.get("task")
    fields["task"] = None if task is None else TaskDescription(**task)
    fields["machines"] = tuple(Machine(**machine) for machine in fields.get("machines", ()))
    fields["cost_usd"] = _usd(fields.get("cost_usd"))
    fields["priors"] = tuple(fields.get("priors", ()))
    return StudyRecord(**fields)


def _trial_from_json(data: Mapping[str, Any]) -> TrialRecord:
    fields = dict(data)
    fields["state"] = TrialState(fields["state"])
    fields["curve"] = tuple((int(epoch), float(value)) for epoch, value in fields.get("curve", ()))
    fields["restored_epochs"] = tuple(fields.get("restored_epochs", ()))
    fields["cost_usd"] = _usd(fields.get("cost_usd"))
    return TrialRecord(**fields)


def _usd(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)
