"""`spotwise studies`, command by command: what it says, what it writes, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path

import click
import factories
import pytest
from rich.console import Console

from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.exit_codes import run_command
from spotwise.scheduler.cli.studies_view import print_list, print_study
from spotwise.scheduler.core.study import StudyRecord, TaskDescription, TrialMachine, TrialRecord, TrialState
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.reports.aggregate import build_report
from spotwise.scheduler.reports.load import report_data
from spotwise.scheduler.tuning.exchange.file import write_export

LONG_ID = "a-job-whose-name-is-as-long-as-they-get-some-times-7k2f9q"
STUDY = StudyRecord(
    id="digits-7k2f9q",
    job_name="digits",
    metric="val_accuracy",
    goal="maximize",
    space={
        "lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        "width": {"type": "int", "low": 32, "high": 512, "log": False, "step": 32},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    },
    created_at=factories.T0,
    labels={"team": "vision", "project": ""},
    trials=(
        TrialRecord(0, {"lr": 0.01}, TrialState.COMPLETED, 0.9, 3, cost_usd=Decimal("0.25")),
        TrialRecord(1, {"lr": 0.1}, TrialState.FAILED),
        TrialRecord(2, {"lr": 0.02}, TrialState.COMPLETED, 0.95, 3, cost_usd=Decimal("0.5")),
        TrialRecord(3, {"lr": 0.03}, TrialState.RUNNING, 0.5, 1),
        TrialRecord(4, {"lr": 0.04}, TrialState.PRUNED, 0.4, 1),
    ),
    task=TaskDescription("shelves", 1200),
    machines=(TrialMachine("aws", "g4dn.xlarge", "T4:1"),),
    cost_usd=Decimal("1.300000"),
    cost_basis="emulated",
    priors=("digits-1", "digits-2"),
)


@pytest.fixture
def app(home: Path) -> Iterator[App]:
    opened = App.open()
    opened.store.save_study(STUDY)
    yield opened
    opened.store.close()


def studies(*arguments: object) -> int:
    """Its exit code, as `main` would end with it."""
    line = ["studies", *map(str, arguments)]
    return run_command(lambda: main.cli.main(line, standalone_mode=False))


def text_of(show: object, width: int) -> str:
    out = StringIO()
    console = Console(file=out, width=width)
    if isinstance(show, StudyRecord):
        print_study(show, console)
    else:
        print_list(show, console)
    return out.getvalue()


@pytest.mark.usefixtures("app")
def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert studies("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "studies": [
            {
                "id": "digits-7k2f9q",
                "job": "digits",
                "metric": "val_accuracy",
                "goal": "maximize",
                "trials": 5,
                "best_value": 0.95,
                "cost_usd": "1.300000",
                "cost_basis": "emulated",
                "created_at": "2026-03-01T12:00:00+00:00",
                "origin": None,
            }
        ]
    }


@pytest.mark.usefixtures("home")
def test_no_study_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert studies("list") == 0
    assert "no study yet" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 200])
def test_a_list_keeps_ids_values_and_money_whole(width: int) -> None:
    others = [replace(STUDY, id=LONG_ID), replace(STUDY, id="[red]x", metric="loss[/]", cost_usd=None, trials=())]
    text = text_of([STUDY, *others], width)
    assert max(map(len, text.splitlines())) <= width
    for shown in ("digits-7k2f9q", "0.95", "1.30", "emulated", "2026-03-01", "12:00", "[red]x", "loss[/]"):
        assert shown in text
    assert LONG_ID in text.replace("\n", "") or width == 80  # folded, not cut
    assert LONG_ID[-8:] in text


def test_show_says_all_that_is_known() -> None:
    text = " ".join(text_of(STUDY, 100).split())
    for shown in (
        "digits-7k2f9q (job digits)",
        "metric val_accuracy, to maximize",
        "trials 5: 2 completed, 1 stopped early, 1 failed, 1 cut short",
        "cost 1.30 USD, emulated; 0.750 of it held by trials",
        "ran on aws/g4dn.xlarge T4:1",
        "data shelves, 1200 examples",
        "labels team=vision learned from",
        "learned from digits-1, digits-2",
        "lr: float, 0.0001 to 0.1, log",
        "width: int, 32 to 512, step 32",
        "optimizer: one of adam, sgd",
        "2 0.95 3 0.500 lr=0.02 0 0.9 3 0.250 lr=0.01",
    ):
        assert shown in text


def test_an_older_record_is_shown_with_what_it_has() -> None:
    old = replace(STUDY, task=None, machines=(), cost_usd=None, cost_basis="", priors=())
    text = " ".join(text_of(old, 80).split())
    assert "cost 0.750 USD ran on unknown labels" in text
    assert "learned from no past study" in text


@pytest.mark.usefixtures("app")
def test_show_as_json_and_an_unknown_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert studies("show", "digits-7k2f9q", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["cost_usd"], shown["priors"], shown["best_trials"]) == ("1.300000", ["digits-1", "digits-2"], [2, 0])
    assert shown["states"] == {"running": 1, "completed": 2, "pruned": 1, "failed": 1}
    assert studies("show", "digits") == 2
    assert "no study is called 'digits': `spotwise studies list` shows all" in capsys.readouterr().err


@pytest.mark.usefixtures("app")
def test_exported_forgotten_and_imported_it_is_the_same(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert studies("export", "digits-7k2f9q", "--to", "x.json") == 0
    assert studies("forget", "digits-7k2f9q", "--yes") == 0
    assert app.store.studies() == []
    for said in ("imported digits-7k2f9q: 5 trials, best val_accuracy 0.95", "is here already and unchanged"):
        assert studies("import", "x.json", "x.json") == 0
        assert said in capsys.readouterr().out
    assert app.store.studies() == [STUDY]


@pytest.mark.usefixtures("app")
def test_another_study_under_the_same_id_is_refused(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert studies("export", "--all", "--to", "x.json") == 0
    app.store.save_study(replace(STUDY, metric="loss"))
    assert studies("import", "x.json") == 2
    said = capsys.readouterr().err
    assert "digits-7k2f9q is not imported: another study, or a run that goes on, has this id; with --as ID" in said
    assert "spotwise studies forget digits-7k2f9q" in said
    assert studies("import", "x.json", "--as", "other") == 0
    assert {study.id: study.metric for study in app.store.studies()} == {
        "digits-7k2f9q": "loss",
        "other": "val_accuracy",
    }


@pytest.mark.usefixtures("home")
def test_a_bad_source_among_good_ones_leaves_nothing_behind(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.json").write_text('{"format": "spotwise studies", "version": 1, "studies": []}')
    assert studies("import", "x.json", "none.json") == 2
    assert "none.json cannot be read: No such file" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--to", "x.json"], "say which studies to export"),
        (["export", "a", "--all", "--to", "x.json"], "say which studies to export"),
        (["export", "a", "--to", "x.json"], "no study is called 'a'"),
        (["export", "--all", "--to", "no/x.json"], "no/x.json is not written: No such file"),
        (["export", "--all"], "Missing option '--to'"),
        (["import", "x", "--space-from", "train.yaml"], "train.yaml has no sweep and so no space"),
        (["import", "x", "--goal", "max"], "'max' is not one of 'maximize', 'minimize'"),
        (["forget", "digits-7k2f9q"], "nothing is forgotten: nobody can be asked here; --yes"),
        (["forget", "digits-7k2f9q", "a", "--yes"], "no study is called 'a'"),
    ],
)
def test_bad_input_is_said_and_changes_nothing(
    app: App, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.yaml").write_text("run: python train.py\n")
    assert studies(*arguments) == 2
    assert said in capsys.readouterr().err
    assert app.store.studies() == [STUDY]
    assert not Path("x.json").exists()


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("n", 1)])
def test_forget_asks_on_a_terminal(app: App, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return answer == "y"

    monkeypatch.setattr(click, "confirm", confirm)
    assert studies("forget", "digits-7k2f9q") == 0
    assert asked == ["Forget digits-7k2f9q with 5 trials? No later sweep learns from it; the ledger stays."]
    assert len(app.store.studies()) == left


def test_a_job_that_gives_the_space_says_metric_and_goal_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sweep.yaml").write_text(
        "run: x\nsweep: {metric: acc, goal: maximize, trials: 2, space: {lr: {type: float, low: 0.1, high: 1}}}\n"
    )
    for number, rate in enumerate((0.2, 0.4)):
        folder = Path(f"exp/train_{number}")
        folder.mkdir(parents=True)
        (folder / "params.json").write_text(json.dumps({"lr": rate}))
        (folder / "result.json").write_text(json.dumps({"acc": rate, "done": True, "training_iteration": 1}) + "\n")
    assert studies("import", "exp", "--space-from", "sweep.yaml") == 0
    said = capsys.readouterr().out
    assert "note: space of sweep.yaml: lr" in said
    assert "imported exp: 2 trials, best acc 0.4" in said


def test_the_study_of_a_run_that_goes_on_is_not_asked_about(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app.store.add_run(factories.run("digits-7k2f9q"), "key")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", pytest.fail)
    assert studies("forget", "digits-7k2f9q") == 2
    assert "digits-7k2f9q is not forgotten: its run goes on" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["first", "second"])
def test_an_import_that_is_killed_leaves_nothing(home: Path, moment: str) -> None:
    """kill -9 in the transaction, after the first of two studies and after the second."""
    write_export(Path("x.json"), [STUDY, replace(STUDY, id="other")])
    code = f"""
import os, signal, sys
from spotwise.scheduler.cli.main import main
from spotwise.scheduler.store import rows
written = []
def row(study, real=rows.study_row):
    values = real(study)
    written.append(study.id)
    if len(written) == {1 + (moment == "second")}:
        os.kill(os.getpid(), signal.SIGKILL)
    return values
rows.study_row = row
sys.argv = ["spotwise", "studies", "import", "x.json"]
main()
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert App.open().store.studies() == []
    assert studies("import", "x.json") == 0
    assert [study.id for study in App.open().store.studies()] == ["digits-7k2f9q", "other"]
    assert home.exists()


def test_handling_studies_loads_neither_ray_nor_optuna() -> None:
    modules = ("cli.main", "cli.studies_actions", "cli.studies_view", "tuning.exchange.source")
    code = "import sys\n" + "".join(f"import spotwise.scheduler.{m}\n" for m in modules)
    code += "sys.exit(', '.join({'ray', 'optuna', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_reports_do_not_wait_for_the_run_of_an_imported_study(app: App) -> None:
    """It has none here, and cost nothing here."""
    assert [study.id for study in app.store.studies()] == ["digits-7k2f9q"]
    assert report_data(app).studies == ()
    build_report(report_data(app))
