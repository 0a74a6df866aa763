"""Checkpoints of ended runs: who needs which, and what goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import JOB_YAML, T0, at, run

from spotwise.scheduler.core.run import Run, RunKind, RunState
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.execution.checkpoint_retention import (
    Need,
    RetentionTerms,
    RetentionWorld,
    judged,
    remove,
    sized,
)

TERMS = RetentionTerms(timedelta(days=30))
NOW = T0 + timedelta(days=100)
SPACE = {"lr": {"type": "float", "low": 0.1, "high": 1.0}}
SWEEP_YAML = yaml.safe_dump(
    {"name": "s", "run": "true", "sweep": {"metric": "acc", "goal": "maximize", "trials": 4, "space": SPACE}}
)
MakeRun = Callable[..., Run]


def ended(run_id: str, **changes: Any) -> Run:
    return run(run_id, **{"state": RunState.COMPLETED, "ended_at": at(1), **changes})


def study(run_id: str) -> StudyRecord:
    values = (0.5, 0.9, 0.7, None)
    trials = [
        TrialRecord(n, {"lr": 0.1}, TrialState.PRUNED if value is None else TrialState.COMPLETED, value)
        for n, value in enumerate(values)
    ]
    return StudyRecord(run_id, "s", "acc", "maximize", SPACE, T0, trials=tuple(trials))


def needs(*runs: Run, terms: RetentionTerms = TERMS, champions: frozenset[str] = frozenset()) -> list[Need]:
    studies = {each.id: study(each.id) for each in runs if each.kind is RunKind.SWEEP}
    return [place.need for place in judged(RetentionWorld(runs, studies, champions, NOW), terms)]


def test_an_old_run_goes_and_one_that_lives_or_ended_lately_stays() -> None:
    runs = ended("old"), ended("young", ended_at=NOW - timedelta(days=29)), run("live", state=RunState.RUNNING)
    assert needs(*runs) == [Need.NOBODY, Need.YOUNG, Need.RUN_LIVES]
    assert needs(*runs, terms=RetentionTerms(timedelta(0))) == [Need.NOBODY, Need.NOBODY, Need.RUN_LIVES]
    assert needs(*runs, terms=replace(TERMS, runs=("live", "young"))) == [Need.YOUNG, Need.RUN_LIVES]


def test_a_champion_and_what_may_become_one_stay() -> None:
    nights = [ended(f"night-{n}", kind=RunKind.RETRAINING) for n in range(3)]
    found = needs(*nights, terms=RetentionTerms(timedelta(0)), champions=frozenset({"night-0"}))
    assert found == [Need.CHAMPION, Need.NOBODY, Need.NEWEST_MODEL]


def test_the_best_trials_of_a_sweep_stay() -> None:
    sweep = ended("sweep", kind=RunKind.SWEEP, job_yaml=SWEEP_YAML)
    assert needs(sweep) == [Need.NOBODY, Need.BEST_TRIAL, Need.NOBODY, Need.NOBODY]
    assert needs(sweep, terms=replace(TERMS, best_trials=2))[1:3] == [Need.BEST_TRIAL] * 2
    assert needs(sweep, terms=replace(TERMS, best_trials=0)) == [Need.NOBODY] * 4
    assert set(needs(replace(sweep, state=RunState.RUNNING, ended_at=None))) == {Need.RUN_LIVES}


def test_a_sweep_whose_study_was_forgotten_and_a_run_that_cannot_be_read_are_left_alone() -> None:
    sweep = ended("sweep", kind=RunKind.SWEEP, job_yaml=SWEEP_YAML)
    assert judged(RetentionWorld((sweep,), {}, frozenset(), NOW), TERMS) == []
    assert needs(ended("broken", job_yaml="run: [")) == [Need.UNREADABLE]


@pytest.mark.parametrize("place", ["folder", "url"])
def test_what_lies_in_folders_and_at_urls_is_counted_and_removed(tmp_path: Path, place: str) -> None:
    to = "" if place == "folder" else "\ncheckpoint: {to: 'memory://retention'}"
    text = JOB_YAML.replace("checkpoint: {every: 1 epochs}\n", "") + to
    mine = ended("old", folder=str(tmp_path), job_yaml=text)
    from spotwise.checkpoints.storage import storage_for

    url = f"{tmp_path}/checkpoints" if place == "folder" else "memory://retention/old"
    for name in ("step-000000001/state.pt", "step-000000001/manifest.json"):
        storage_for(url).put(name, b"1234")
    (tmp_path / "progress.jsonl").write_text("{}\n")
    places = judged(RetentionWorld((mine,), {}, frozenset(), NOW), TERMS)
    (found,) = sized(places)
    assert (found.place.url, found.size.files, found.size.bytes) == (url, 2, 8)
    assert remove(found) is None
    assert list(sized(places)) == []
    assert (tmp_path / "progress.jsonl").exists()


def test_what_is_needed_is_never_removed(tmp_path: Path) -> None:
    live = run("live", state=RunState.RUNNING, folder=str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "x").write_text("x")
    (found,) = sized(judged(RetentionWorld((live,), {}, frozenset(), NOW), TERMS))
    with pytest.raises(ValueError, match="is needed"):
        remove(found)
    assert (tmp_path / "checkpoints" / "x").exists()
