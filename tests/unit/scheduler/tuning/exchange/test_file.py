"""The export: it comes back as it went out, is written whole, and says each of its faults."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.study import StudyRecord, TaskDescription, TrialMachine, TrialRecord, TrialState
from spotwise.scheduler.tuning.exchange.file import SHOWN_FAULTS, read_export, write_export
from spotwise.scheduler.tuning.exchange.found import ImportOptions

STUDY = StudyRecord(
    id="digits-7k2f9q",
    job_name="digits",
    metric="val_accuracy",
    goal="maximize",
    space={
        "lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd", None]},
    },
    created_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    labels={"team": "vision"},
    trials=(
        TrialRecord(
            number=0,
            params={"lr": 0.01, "optimizer": "adam"},
            state=TrialState.COMPLETED,
            value=0.9,
            epoch=3,
            curve=((1, 0.5), (3, 0.9)),
            source="prior",
            note="from digits-1 trial 2",
            resumes=1,
            restored_epochs=(2,),
            gpu_memory_gib=2.5,
            seconds=12.5,
            cost_usd=Decimal("0.250001"),
        ),
        TrialRecord(1, {"lr": 0.1, "optimizer": None}, TrialState.FAILED),
    ),
    task=TaskDescription("shelves", 1200),
    machines=(TrialMachine("aws", "g4dn.xlarge", "T4:1"),),
    cost_usd=Decimal("0.300000"),
    cost_basis="estimated",
    priors=("digits-1",),
)
Change = Callable[[dict[str, Any]], object]


def exported(path: Path) -> dict[str, Any]:
    write_export(path, [STUDY])
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def read(path: Path, options: ImportOptions | None = None) -> list[StudyRecord]:
    return list(read_export(path.read_text(), path.name, options or ImportOptions()).studies)


def test_a_study_comes_back_as_it_went_out(tmp_path: Path) -> None:
    document = exported(tmp_path / "x.json")
    assert read(tmp_path / "x.json") == [STUDY]
    (study,) = document["studies"]
    assert (study["cost_usd"], study["trials"][0]["cost_usd"]) == ("0.300000", "0.250001")
    assert study["created_at"] == "2026-03-01T12:00:00+00:00"


def test_a_value_that_json_cannot_write_is_no_value(tmp_path: Path) -> None:
    endless = replace(STUDY.trials[0], value=float("inf"))
    write_export(tmp_path / "x.json", [replace(STUDY, trials=(endless,))])
    assert read(tmp_path / "x.json")[0].trials[0].value is None


@pytest.mark.parametrize("fault", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text("the old one")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if fault == "fsync" else (Path, "replace")), fail)
    with pytest.raises(InputError, match=r"x\.json is not written: No space left.*can be written"):
        write_export(path, [STUDY])
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("x.json", "the old one")]


def trial(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["studies"][0]["trials"][0]
    return found


def study(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["studies"][0]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda d: d.update(version=2),
            "x.json was written by a newer spotwise (version 2, this one reads 1): upgrade",
        ),
        (lambda d: d.update(version="1"), "x.json: version: found '1'"),
        (lambda d: d.update(studies={}), "x.json: studies: found an empty mapping; allowed: a list"),
        (lambda d: study(d).pop("metric"), "x.json: studies[0].metric: missing; required: the metric"),
        (lambda d: study(d).update(goal="max"), "studies[0].goal: found 'max'; allowed: maximize, minimize"),
        (lambda d: study(d).update(metrc="x"), "studies[0].metrc: unknown key; allowed: id, job_name, metric"),
        (
            lambda d: study(d).update(created_at="2026-03-01"),
            "studies[0].created_at: found '2026-03-01'; allowed: a time",
        ),
        (lambda d: study(d).update(cost_usd=0.3), "studies[0].cost_usd: found 0.3; allowed: text"),
        (
            lambda d: study(d).update(cost_usd="-1"),
            "studies[0].cost_usd: found '-1'; allowed: an amount in USD as text",
        ),
        (lambda d: study(d)["space"]["lr"].update(low=0), "studies[0].space.lr.low: found low 0.0, high 0.1; allowed"),
        (lambda d: study(d)["space"]["optimizer"].pop("choices"), "space.optimizer.choices: missing"),
        (lambda d: study(d)["machines"][0].update(gpu="T4"), "studies[0].machines[0].gpu: unknown key"),
        (
            lambda d: trial(d).update(state="done"),
            "studies[0].trials[0].state: found 'done'; allowed: running, completed",
        ),
        (lambda d: trial(d).update(number=True), "studies[0].trials[0].number: found true; allowed: a whole number"),
        (lambda d: trial(d).update(number=1), "studies[0].trials: found number 1 2 times; allowed: each number once"),
        (lambda d: trial(d).update(curve=[[1]]), "studies[0].trials[0].curve[0][1]: missing"),
        (lambda d: trial(d).update(value=float("nan")), "x.json is damaged: found NaN, which is no number of JSON"),
    ],
)
def test_each_fault_is_said_with_its_place(tmp_path: Path, change: Change, said: str) -> None:
    path = tmp_path / "x.json"
    document = exported(path)
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        read(path)
    assert said in str(caught.value)


def test_a_torn_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    exported(path)
    path.write_text(path.read_text()[:500])
    with pytest.raises(InputError, match=r"x\.json is damaged: .* line \d+.*export the studies again"):
        read(path)


def test_many_faults_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    document = exported(path)
    study(document)["trials"] = [{"number": n} for n in range(10)]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        read(path)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (SHOWN_FAULTS + 1, "x.json: and 10 more faults")


def test_an_older_file_without_later_fields_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    document = exported(path)
    for added in ("task", "machines", "cost_usd", "cost_basis", "priors", "origin", "labels"):
        del study(document)[added]
    for added in (
        "curve",
        "source",
        "note",
        "resumes",
        "restored_epochs",
        "seconds",
        "cost_usd",
        "value",
        "epoch",
        "gpu_memory_gib",
    ):
        del study(document)["trials"][1][added]
    path.write_text(json.dumps(document))
    assert [found.trials for found in read(path)] == [STUDY.trials]


def test_one_of_several(tmp_path: Path) -> None:
    write_export(tmp_path / "x.json", [STUDY, replace(STUDY, id="other")])
    assert [found.id for found in read(tmp_path / "x.json", ImportOptions(study="other"))] == ["other"]
    with pytest.raises(InputError, match=r"no study 'x'; it has: digits-7k2f9q, other"):
        read(tmp_path / "x.json", ImportOptions(study="x"))


@pytest.mark.parametrize(
    "options",
    [ImportOptions(metric="m"), ImportOptions(goal="minimize"), ImportOptions(space={}, space_from="job.yaml")],
)
def test_what_the_file_says_need_not_be_told(tmp_path: Path, options: ImportOptions) -> None:
    exported(tmp_path / "x.json")
    with pytest.raises(InputError, match="says this itself: leave out --"):
        read(tmp_path / "x.json", options)
