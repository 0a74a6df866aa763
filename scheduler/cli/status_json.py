"""One run as JSON, for `spotwise status --json`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..core.code_version import CodeVersion, code_json
from ..core.money import json_usd
from ..core.run import Attempt
from ..core.study import TrialRecord
from ..planning.warm_start import saving_json, trial_usd
from .remaining_view import remaining_json
from .status_view import RunView


def status_json(view: RunView) -> dict[str, Any]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC."""
    run = view.run
    return {
        "run": run.id,
        "job": run.job_name,
        "kind": run.kind.value,
        "owner": run.owner,
        "team": run.team,
        "project": run.project,
        "state": run.state.value,
        "cancel_requested": run.cancel_requested,
        "reason": run.end_reason,
        "submitted_at": run.submitted_at.isoformat(),
        "ended_at": _iso(run.ended_at),
        "deadline": _iso(run.deadline_at),
        "deadline_state": None if view.deadline_state is None else view.deadline_state.value,
        "budget_usd": json_usd(run.budget_usd),
        "spent_usd": json_usd(view.spent_usd),
        "predicted_usd": json_usd(run.predicted_usd),
        "progress": view.progress.fraction,
        "checkpoint_seen": view.checkpoint_seen,
        "rest": remaining_json(view.remaining),
        "code": code_json(CodeVersion.of_json(run.code_json)),
        "preemptions": view.preemptions,
        "attempts": [_attempt_json(attempt) for attempt in view.attempts],
        "past_saving": None if view.study is None else saving_json(view.past_saving, trial_usd(view.study)),
        "trials": [] if view.study is None else [_trial_json(trial) for trial in view.study.trials],
        "events": [{"at": _iso(e.at), "kind": e.kind, "message": e.message} for e in view.events],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.id,
        "offer": attempt.offer.key,
        "market": attempt.offer.market.value,
        "price_usd_per_hour": str(attempt.offer.price_usd_per_hour),
        "state": attempt.state.value,
        "reason": attempt.reason,
        "launched_at": _iso(attempt.launched_at),
        "started_at": _iso(attempt.started_at),
        "ended_at": _iso(attempt.ended_at),
        "end_cause": None if attempt.end_cause is None else attempt.end_cause.value,
        "end_reason": attempt.end_reason,
        "exit_code": attempt.exit_code,
        "cost_basis": attempt.cost_basis.value,
    }


def _trial_json(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "params": trial.params,
        "value": trial.value,
        "epoch": trial.epoch,
        "source": trial.source,
        "note": trial.note,
        "resumes": trial.resumes,
        "restored_epochs": list(trial.restored_epochs),
        "cost_usd": json_usd(trial.cost_usd),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
