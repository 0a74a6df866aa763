"""Storages that Optuna itself wrote: SQLite and journal alike."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.study import StudyRecord, TrialState
from spotwise.scheduler.store import Store
from spotwise.scheduler.tuning.exchange.found import ImportOptions
from spotwise.scheduler.tuning.exchange.source import read_source

TRIALS = 6
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # to name a metric is one


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    trial.suggest_int("width", 8, 64)
    trial.suggest_categorical("optimizer", ["adam", None])
    for step in range(3):
        trial.report(rate + step if trial.number != 2 else float("nan"), step)
        if trial.number == 1 and step == 1:
            raise optuna.TrialPruned
    if trial.number == 3:
        raise ZeroDivisionError
    return float("inf") if trial.number == 4 else rate


def fill(storage: optuna.storages.BaseStorage) -> None:
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(study_name="shelves", storage=storage, direction="maximize", sampler=sampler)
    study.set_metric_names(["val_accuracy"])
    study.optimize(objective, n_trials=TRIALS, catch=(ZeroDivisionError,))
    study.ask()  # still running
    unnamed = optuna.create_study(study_name="unnamed", storage=storage, sampler=sampler)
    unnamed.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    optuna.create_study(study_name="two", storage=storage, directions=["maximize", "minimize"])
    optuna.create_study(study_name="empty", storage=storage)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("optuna")
    sqlite = f"sqlite:///{folder / 'studies.db'}"
    fill(optuna.storages.RDBStorage(sqlite))
    fill(JournalStorage(JournalFileBackend(str(folder / "journal.log"))))
    return {"sqlite": sqlite, "file": str(folder / "studies.db"), "journal": str(folder / "journal.log")}


@pytest.fixture(params=["sqlite", "file", "journal"])
def source(request: pytest.FixtureRequest, written: dict[str, str]) -> str:
    return written[request.param]


def path_of(source: str) -> Path:
    return Path(source.removeprefix("sqlite:///"))


def test_all_studies_that_teach_something_are_read(source: str) -> None:
    found = read_source(source, ImportOptions())
    assert [study.id for study in found.studies] == ["shelves", "unnamed"]
    assert [note.split(":")[0] for note in found.notes] == ["unnamed", "two is left out", "empty is left out"]


def test_a_study_is_what_optuna_knows_of_it(source: str) -> None:
    (study,) = read_source(source, ImportOptions(study="shelves")).studies
    assert (study.metric, study.goal, study.job_name) == ("val_accuracy", "maximize", "shelves")
    assert study.space["lr"] == {"type": "float", "low": 1e-4, "high": 0.1, "log": True, "step": None}
    assert study.space["optimizer"] == {"type": "categorical", "choices": ["adam", None]}
    states = [trial.state for trial in study.trials]
    done, failed = TrialState.COMPLETED, TrialState.FAILED
    assert states == [done, TrialState.PRUNED, done, failed, failed, done]  # infinite is no value
    assert len(study.trials[0].curve) == 3
    assert study.trials[2].curve == ()  # as are those that are no number
    assert study.trials[0].seconds > 0
    assert study.origin == f"Optuna storage {path_of(source)}"
    assert study.cost_usd is None


def test_the_storage_is_left_as_it_is(source: str) -> None:
    """Opening it would create tables in it and files beside it."""
    folder = path_of(source).parent
    before = {each.name: hashlib.sha256(each.read_bytes()).digest() for each in folder.iterdir()}
    read_source(source, ImportOptions(study="shelves"))
    assert {each.name: hashlib.sha256(each.read_bytes()).digest() for each in folder.iterdir()} == before


def test_a_metric_without_a_name_gets_one(source: str) -> None:
    found = read_source(source, ImportOptions(study="unnamed", metric="loss", goal="minimize"))
    assert [(study.metric, study.goal) for study in found.studies] == [("loss", "minimize")]
    assert found.notes == ()
    assert read_source(source, ImportOptions(study="unnamed")).studies[0].metric == "value"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ImportOptions(study="shelf"), r"has no study 'shelf'; it has: shelves, unnamed, two, empty"),
        (
            ImportOptions(study="two"),
            r"nothing to import from .*\ntwo is left out: it has 2 objectives, and a sweep has one",
        ),
        (ImportOptions(study="empty"), r"empty is left out: no trial of it has ended"),
        (ImportOptions(study="shelves", metric="loss"), r"calls its metric val_accuracy; leave out --metric loss"),
        (ImportOptions(study="shelves", goal="minimize"), r"is to maximize; leave out --goal minimize"),
        (ImportOptions(space={"lr": {}}, space_from="job.yaml"), r"says its space itself: leave out --space-from"),
    ],
)
def test_what_cannot_be(source: str, options: ImportOptions, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_source(source, options)


def no_such_file(folder: Path) -> str:
    return f"sqlite:///{folder / 'none.db'}"


def other_database(folder: Path) -> str:
    Store.open(f"sqlite:///{folder / 'spotwise.db'}").close()
    return f"sqlite:///{folder / 'spotwise.db'}"


def torn_database(folder: Path) -> str:
    (folder / "torn.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    return str(folder / "torn.db")


def torn_journal(folder: Path) -> str:
    (folder / "torn.log").write_text('{"op_code": 0, "worker_id": "a"}\n{"op_co\n{"op_code": 0}\n')
    return str(folder / "torn.log")


def old_schema(folder: Path) -> str:
    path = folder / "old.db"
    fill(optuna.storages.RDBStorage(f"sqlite:///{path}"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_such_file, r"none\.db cannot be read: No such file"),
        (other_database, r"spotwise\.db is no storage of Optuna: it lacks its tables"),
        (torn_database, r"torn\.db cannot be read as an SQLite storage of Optuna: .*right file"),
        (torn_journal, r"torn\.log cannot be read by the Optuna here: .*restore a copy"),
        (old_schema, r"old\.db cannot be read by the Optuna here: .*optuna storage upgrade"),
        (lambda _: "mysql://ana:secret@host/db", r"mysql://ana:\*\*\*@host/db cannot be .*copy_study"),
        (lambda _: "sqlite://", r"names no file; such as sqlite:///studies\.db"),
    ],
)
def test_what_is_no_storage(tmp_path: Path, make: Callable[[Path], str], said: str) -> None:
    source = make(tmp_path)
    before = {each.name for each in tmp_path.iterdir()}
    with pytest.raises(InputError, match=said) as caught:
        read_source(source, ImportOptions())
    assert "secret" not in str(caught.value)
    left = {each.name for each in tmp_path.iterdir()} - {
        "spotwise.db-shm",
        "spotwise.db-wal",
    }  # SQLite's, of any reader
    assert left == before


def test_without_optuna_it_is_said_what_to_install(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("optuna", "optuna.storages", "optuna.storages.journal"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r'reading it needs Optuna: pip install "spotwise\[tune\]"'):
        read_source(source, ImportOptions())


def test_a_journal_that_somebody_writes_to_is_read_up_to_its_last_whole_line(
    written: dict[str, str], tmp_path: Path
) -> None:
    copy = tmp_path / "journal.log"
    copy.write_bytes(Path(written["journal"]).read_bytes() + b'{"op_code": 4, "wor')
    found = read_source(str(copy), ImportOptions(study="shelves")).studies
    assert isinstance(found[0], StudyRecord)
