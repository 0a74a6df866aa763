"""Factories of studies, trials and tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.tuning.study.sweep_task import SweepTask

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "width": {"type": "int", "low": 8, "high": 512, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
}

MakeStudy = Callable[..., StudyRecord]
MakeTask = Callable[..., SweepTask]


@pytest.fixture
def space() -> dict[str, dict[str, Any]]:
    return SPACE


@pytest.fixture
def make_study() -> MakeStudy:
    """A study from (params, value) pairs; a value of None is a failed trial."""

    def make(results: list[tuple[dict[str, Any], float | None]], **changes: Any) -> StudyRecord:
        trials = tuple(
            TrialRecord(number, params, TrialState.FAILED if value is None else TrialState.COMPLETED, value)
            for number, (params, value) in enumerate(results)
        )
        fields: dict[str, Any] = {
            "id": "past",
            "job_name": "digits",
            "metric": "accuracy",
            "goal": "maximize",
            "space": SPACE,
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            "trials": trials,
        }
        return StudyRecord(**(fields | changes))

    return make


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    def make(**changes: Any) -> SweepTask:
        fields: dict[str, Any] = {
            "run_id": "digits-1",
            "attempt": 1,
            "folder": str(tmp_path),
            "command": "true",
            "workdir": str(tmp_path),
            "metric": "accuracy",
            "goal": "maximize",
            "space": SPACE,
            "parallel": 2,
            "trials": 4,
            "seed": 0,
        }
        return SweepTask(**(fields | changes))

    return make
