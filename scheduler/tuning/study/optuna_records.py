"""Optuna's studies as study records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ...core.study import StudyRecord, TrialRecord, TrialState
from .search_space import merged, spec_of

CostOf = Callable[[FrozenTrial], float | None]

STATE_OF_OPTUNAS = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}


class PastStudy(Protocol):
    """What is needed of a past study: an ``optuna.Study``, or anything frozen that looks like one."""

    @property
    def trials(self) -> list[FrozenTrial]: ...

    @property
    def directions(self) -> list[StudyDirection]: ...


def record_of(study: PastStudy, index: int = 0, cost_of: CostOf | None = None) -> StudyRecord:
    """A finished Optuna study as a record; trials that never ran to an end are left out.

    ``cost_of``: what a trial has cost; kept as its seconds, since only how costs relate to each other matters.

    Raises:
        ValueError: it has more than one objective.
    """
    name = getattr(study, "study_name", f"study {index}")
    if len(study.directions) != 1:
        raise ValueError(f"{name} has {len(study.directions)} objectives: pass studies of one objective as history")
    trials = [trial for trial in study.trials if state_of(trial) is not None]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    return StudyRecord(
        id=name,
        job_name=name,
        metric="value",
        goal="maximize" if study.directions[0] == StudyDirection.MAXIMIZE else "minimize",
        space=_space(trials),
        created_at=min(starts).astimezone(UTC) if starts else datetime.fromtimestamp(0, UTC),
        trials=tuple(trial_records(trials, cost_of)),
    )


def trial_records(trials: Iterable[FrozenTrial], cost_of: CostOf | None = None) -> list[TrialRecord]:
    """Those that are over."""
    states = ((trial, state_of(trial)) for trial in trials)
    return [_trial(trial, state, cost_of) for trial, state in states if state is not None]


def state_of(trial: FrozenTrial) -> TrialState | None:
    """What became of a trial; None while it runs or waits.

    One whose last report was no number has failed, whatever Optuna says: Ray Tune's search passes the end of such a
    trial on as a value, which Optuna refuses, so that it runs there for ever.
    """
    if trial.state is OptunaState.RUNNING and trial.intermediate_values:
        last = trial.intermediate_values[max(trial.intermediate_values)]
        return TrialState.FAILED if math.isnan(last) else None
    return STATE_OF_OPTUNAS.get(trial.state)


def _space(trials: list[FrozenTrial]) -> dict[str, dict[str, Any]]:
    """The union over trials: in a conditional space no single trial has all parameters, and bounds may have changed."""
    space: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for name, dist in trial.distributions.items():
            spec = spec_of(dist)
            space[name] = merged(space[name], spec) if name in space and space[name] != spec else spec
    return space


def _trial(trial: FrozenTrial, state: TrialState, cost_of: CostOf | None) -> TrialRecord:
    curve = tuple(sorted(trial.intermediate_values.items()))
    cost = None if cost_of is None else cost_of(trial)
    return TrialRecord(
        number=trial.number,
        params=dict(trial.params),
        state=state,
        value=trial.value,
        epoch=curve[-1][0] if curve else 0,
        curve=curve,
        seconds=cost if cost is not None and cost > 0.0 else 0.0,
    )
