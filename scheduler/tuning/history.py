"""Optuna's studies as study records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ..study import StudyRecord, TrialRecord, TrialState
from .space import spec_of

if TYPE_CHECKING:
    from .sampler import PastStudy

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}


def record_of(study: PastStudy, index: int = 0) -> StudyRecord:
    """A finished Optuna study as a record; trials that never ran to an end are left out.

    Raises:
        ValueError: it has more than one objective.
    """
    name = getattr(study, "study_name", f"study {index}")
    if len(study.directions) != 1:
        raise ValueError(f"{name} has {len(study.directions)} objectives: pass studies of one objective as history")
    trials = [trial for trial in study.trials if trial.state in _STATES]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    return StudyRecord(
        id=name,
        job_name=name,
        metric="value",
        goal="maximize" if study.directions[0] == StudyDirection.MAXIMIZE else "minimize",
        space=_space(trials),
        created_at=min(starts).astimezone(UTC) if starts else datetime.fromtimestamp(0, UTC),
        trials=tuple(trial_records(trials)),
    )


def trial_records(trials: Iterable[FrozenTrial]) -> list[TrialRecord]:
    """Those that are over."""
    return [_trial(trial) for trial in trials if trial.state in _STATES]


def _space(trials: list[FrozenTrial]) -> dict[str, dict[str, Any]]:
    """The union over trials: in a conditional space no single trial has all parameters."""
    return {name: spec_of(dist) for trial in trials for name, dist in trial.distributions.items()}


def _trial(trial: FrozenTrial) -> TrialRecord:
    curve = tuple(sorted(trial.intermediate_values.items()))
    return TrialRecord(
        number=trial.number,
        params=dict(trial.params),
        state=_STATES[trial.state],
        value=trial.value,
        epoch=curve[-1][0] if curve else 0,
        curve=curve,
    )
