"""Optuna's storages, read through Optuna's own API, from a copy: opening a storage creates tables and takes locks."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ...core.errors import InputError
from ...core.study import StudyRecord, TrialRecord, TrialState
from .found import FoundStudies, ImportOptions

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

SQLITE_MAGIC = b"SQLite format 3\0"
DEFAULT_METRIC = "value"  # Optuna's word for an objective that nobody named
_COPY_FIRST = "copy the study into a file: optuna.copy_study(..., to_storage='sqlite:///studies.db')"


def sqlite_path(url: str) -> Path:
    """The file of a ``sqlite:///path`` URL.

    Raises:
        InputError: it is a URL of something else, or of no file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(f"{url} is no URL of a storage; such as sqlite:///studies.db") from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "sqlite":
        raise InputError(f"{shown} cannot be imported from; allowed: sqlite:///FILE or a journal file; {_COPY_FIRST}")
    if not parsed.database or parsed.database == ":memory:":
        raise InputError(f"{shown} names no file; such as sqlite:///studies.db")
    return Path(parsed.database)


def is_journal(head: bytes) -> bool:
    """Whether a file that begins so is a journal of Optuna: JSON lines with an operation each."""
    try:
        first = json.loads(head.split(b"\n", 1)[0])
    except ValueError:
        return False
    return isinstance(first, dict) and "op_code" in first


def read_sqlite(path: Path, options: ImportOptions) -> FoundStudies:
    """The studies of an SQLite storage.

    Raises:
        InputError: it is none, or a study cannot be used.
    """
    from optuna.storages import RDBStorage

    with _folder() as folder:
        copy = folder / "copy.db"
        _copy_database(path, copy)
        with _said_by_optuna(path):
            storage = RDBStorage(f"sqlite:///{copy}")
            try:
                return _studies(storage, path, options)
            finally:
                storage.remove_session()


def read_journal(path: Path, options: ImportOptions) -> FoundStudies:
    """The studies of a journal file.

    Raises:
        InputError: it is none, or a study cannot be used.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with _folder() as folder:
        copy = folder / "journal.log"
        shutil.copyfile(path, copy)
        with _said_by_optuna(path):
            return _studies(JournalStorage(JournalFileBackend(str(copy))), path, options)


def _copy_database(path: Path, copy: Path) -> None:
    """A consistent copy, though somebody writes to the original."""
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            tables = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"studies", "trials", "version_info"} <= tables:
                raise InputError(
                    f"{path} is no storage of Optuna: it lacks its tables; name the file that its URL names"
                )
            source.backup(target)
    except sqlite3.Error as error:
        raise InputError(
            f"{path} cannot be read as an SQLite storage of Optuna: {error}; is it the right file?"
        ) from error


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="spotwise-import-") as name:
        yield Path(name)


@contextmanager
def _said_by_optuna(path: Path) -> Iterator[None]:
    """What Optuna raises on a storage that it cannot read, as an error of the file."""
    from optuna.exceptions import OptunaError

    try:
        yield
    except (OptunaError, SQLAlchemyError, RuntimeError, ValueError, KeyError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} cannot be read by the Optuna here: {first}; "
            "if an older Optuna wrote it: optuna storage upgrade --storage URL; if it is damaged, restore a copy"
        ) from error


def _studies(storage: BaseStorage, path: Path, options: ImportOptions) -> FoundStudies:
    import optuna

    names = optuna.get_all_study_names(storage)
    if options.study is not None and options.study not in names:
        raise InputError(f"{path} has no study {options.study!r}; it has: {', '.join(names) or 'none'}")
    found, notes = [], []
    for name in [options.study] if options.study is not None else names:
        study = optuna.load_study(study_name=name, storage=storage)
        problem = _problem(study)
        if problem:
            notes.append(f"{name} is left out: {problem}")
            continue
        record, metric_is_named = _record(study, path, options)
        found.append(record)
        short = sum(trial.state is TrialState.PRUNED for trial in record.trials) - _pruned_by_optuna(study)
        if short:
            said = f"{short} of {len(record.trials)} trials ended before the longest one"
            notes.append(f"{name} looks like Ray Tune's: {said}: stopped early")
        if not metric_is_named:
            notes.append(
                f"{name}: its metric has no name there, so it is kept as {DEFAULT_METRIC}; --metric NAME gives one"
            )
    if not found:
        why = "\n".join(notes) or "it has no study"
        raise InputError(f"nothing to import from {path}:\n{why}")
    return FoundStudies(tuple(found), tuple(notes))


def _problem(study: Study) -> str:
    """Why nothing can be learned from a study; "" where something can."""
    if len(study.directions) != 1:
        return f"it has {len(study.directions)} objectives, and a sweep has one"
    if not any(trial.state.is_finished() for trial in study.trials):
        return "no trial of it has ended"
    return ""


def _pruned_by_optuna(study: Study) -> int:
    from optuna.trial import TrialState as OptunaState

    return sum(trial.state is OptunaState.PRUNED for trial in study.trials)


def _record(study: Study, path: Path, options: ImportOptions) -> tuple[StudyRecord, bool]:
    from ..study.optuna_records import record_of

    record = record_of(study)
    named = study.metric_names
    metric = named[0] if named else options.metric
    where = f"{path}: {record.id}"
    if named and options.metric not in (None, metric):
        raise InputError(f"{where} calls its metric {metric}; leave out --metric {options.metric}")
    if options.goal not in (None, record.goal):
        raise InputError(f"{where} is to {record.goal}; leave out --goal {options.goal}")
    seconds = {t.number: t.duration.total_seconds() for t in study.trials if t.duration is not None}
    trials = tuple(_with_finite_values(replace(t, seconds=max(0.0, seconds.get(t.number, 0.0)))) for t in record.trials)
    trials = _as_ray_stopped_them(trials)
    origin = f"Optuna storage {path.absolute()}"
    return replace(record, metric=metric or DEFAULT_METRIC, trials=trials, origin=origin), metric is not None


def _as_ray_stopped_them(trials: tuple[TrialRecord, ...]) -> tuple[TrialRecord, ...]:
    """Ray Tune's search tells Optuna that a trial is complete, also one that a scheduler stopped early.

    Its reports are numbered from 1, and a trial's value is its last report. Where all are so, and Optuna knows of no
    stopped trial with a report, whichever ended before the longest one counts as stopped, as in Ray's own folders.
    """
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETED]
    pruned_by_optuna = any(trial.state is TrialState.PRUNED and trial.curve for trial in trials)
    if pruned_by_optuna or not all(_may_be_rays(trial) for trial in completed):
        return trials
    longest = max((trial.epoch for trial in completed), default=0)
    return tuple(
        replace(trial, state=TrialState.PRUNED) if trial in completed and trial.epoch < longest else trial
        for trial in trials
    )


def _may_be_rays(trial: TrialRecord) -> bool:
    return bool(trial.curve) and trial.curve[0][0] == 1 and trial.value == trial.curve[-1][1]


def _with_finite_values(trial: TrialRecord) -> TrialRecord:
    """A value that is no finite number teaches nothing: the trial counts as failed, as in a sweep of our own."""
    curve = tuple((epoch, value) for epoch, value in trial.curve if math.isfinite(value))
    if trial.value is None or math.isfinite(trial.value):
        return replace(trial, curve=curve)
    return replace(trial, curve=curve, value=None, state=TrialState.FAILED)
