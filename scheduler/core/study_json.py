"""A study's record as a JSON object and back: what the store, export files and sweep tasks hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from .study import StudyRecord, TaskDescription, TrialMachine, TrialRecord, TrialState


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
    fields["machines"] = tuple(TrialMachine(**machine) for machine in fields.get("machines", ()))
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
