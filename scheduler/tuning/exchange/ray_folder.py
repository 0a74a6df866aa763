"""Ray Tune's experiment folders: a folder a trial, with its configuration and its results. Ray is not needed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.study import StudyRecord, TrialRecord, TrialState
from .found import FoundStudies, ImportOptions
from .inferred import infer_space

PARAMS, RESULTS, TABLE = "params.json", "result.json", "progress.csv"
_WRAPPER = "train_loop_config"  # Ray Train puts a trainer's own parameters under it
_SHOWN = 12  # names in a message


@dataclass(frozen=True, slots=True)
class _Trial:
    """One trial's folder as read."""

    folder: Path
    params: dict[str, Any]
    results: tuple[Mapping[str, Any], ...]
    has_error: bool

    @property
    def is_done(self) -> bool:
        return bool(self.results) and str(self.results[-1].get("done")).lower() == "true"

    @property
    def iterations(self) -> int:
        """How far it came. Ray repeats the last result of a function that returns."""
        return _int(self.results[-1].get("training_iteration"), len(self.results)) if self.results else 0

    def curve(self, metric: str) -> tuple[tuple[int, float], ...]:
        """(iteration, metric) where the metric is a finite number; of an iteration that is there twice, the last."""
        found = (
            (_int(row.get("training_iteration"), i), _float(row.get(metric))) for i, row in enumerate(self.results, 1)
        )
        return tuple(sorted({step: value for step, value in found if value is not None}.items()))


def read_ray_folder(folder: Path, options: ImportOptions) -> FoundStudies:
    """The one study of an experiment's folder.

    Raises:
        InputError: it is none, or it does not say what must be known and nobody told it.
    """
    if options.study is not None:
        raise InputError(f"{folder} holds one study: leave out --study; --as ID gives it another id")
    trials = [_read_trial(each) for each in _trial_folders(folder)]
    metric, goal = _metric(folder, trials, options), options.goal
    if goal is None:
        raise InputError(
            f"{folder} does not say whether {metric} is to be large or small: add --goal maximize or minimize"
        )
    longest = max((trial.iterations for trial in trials if trial.is_done), default=0)
    records = [_record(number, trial, metric, longest) for number, trial in enumerate(trials)]
    if not any(record.state is TrialState.COMPLETED for record in records):
        raise InputError(f"{folder}: no trial ended well with a value of {metric}: nothing can be learned from it")
    space, notes = _space(folder, trials, options)
    kept = tuple(_within(record, space) for record in records)
    study = StudyRecord(
        id=folder.name,
        job_name=folder.name,
        metric=metric,
        goal=goal,
        space=space,
        created_at=_began(trials),
        trials=kept,
        origin=f"Ray Tune folder {folder}",
    )
    short = sum(record.state is TrialState.PRUNED for record in records)
    cut = f"{short} of {len(records)} trials ended before iteration {longest}, where the longest ended: stopped early"
    return FoundStudies((study,), (*notes, cut) if short else notes)


def _trial_folders(folder: Path) -> list[Path]:
    found = sorted(each for each in folder.iterdir() if each.is_dir() and _is_trial(each))
    if found:
        return found
    inside = sorted(each.name for each in folder.iterdir() if each.is_dir() and any(map(_is_trial, _folders(each))))
    hint = (
        f"name one of the experiments in it: {', '.join(inside[:_SHOWN])}" if inside else "name an experiment's folder"
    )
    raise InputError(f"{folder} holds no trial of Ray Tune (a folder with {PARAMS} and {RESULTS} or {TABLE}): {hint}")


def _folders(folder: Path) -> Iterator[Path]:
    return (each for each in folder.iterdir() if each.is_dir())


def _is_trial(folder: Path) -> bool:
    return (folder / PARAMS).is_file() or (folder / RESULTS).is_file()


def _read_trial(folder: Path) -> _Trial:
    results = tuple(_results(folder))
    if (folder / PARAMS).is_file():
        config = _object(folder / PARAMS, (folder / PARAMS).read_text(encoding="utf-8"))
    else:
        config = _below(results[-1], "config/") if results else {}
    flat = _flat(config)
    own = _below(flat, f"{_WRAPPER}/")
    has_error = any((folder / name).exists() for name in ("error.txt", "error.pkl"))
    return _Trial(folder, own or flat, results, has_error)


def _results(folder: Path) -> Iterator[Mapping[str, Any]]:
    path = folder / RESULTS
    if path.is_file() and path.stat().st_size:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n") and not _is_json(line):
                return  # torn where the experiment was killed
            if line.strip():
                yield _flat(_object(path, line, number))
    elif (folder / TABLE).is_file():
        with (folder / TABLE).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def _object(path: Path, text: str, line: int = 0) -> dict[str, Any]:
    where = f"{path}:{line}" if line else str(path)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is damaged: {error}; mend it, or move that trial's folder away") from error
    if not isinstance(found, dict):
        raise InputError(
            f"{where}: found {type(found).__name__}; allowed: a JSON object; move that trial's folder away"
        )
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested names joined by ``/``, as Ray writes them in its tables."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{above}{name}/") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def _below(flat: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}


def _metric(folder: Path, trials: Sequence[_Trial], options: ImportOptions) -> str:
    names = sorted({name for trial in trials for row in trial.results[-1:] for name in row if _is_metric(name, row)})
    shown = ", ".join(names[:_SHOWN]) or "no number"
    if options.metric is None:
        raise InputError(f"{folder} does not say which metric counts: add --metric NAME; its results have: {shown}")
    if not any(options.metric in row for trial in trials for row in trial.results):
        raise InputError(f"{folder} has no metric {options.metric!r}: its results have: {shown}")
    return options.metric


def _is_metric(name: str, row: Mapping[str, Any]) -> bool:
    """Whether it may be one: what Ray adds to every result is none."""
    added = name.startswith(("config/", "time", "training_iteration", "iterations_since", "pid")) or name == "done"
    return not added and _float(row.get(name)) is not None


def _record(number: int, trial: _Trial, metric: str, longest: int) -> TrialRecord:
    curve = trial.curve(metric)
    last = _float(trial.results[-1].get(metric)) if trial.results else None
    if trial.has_error or not trial.results or (trial.is_done and last is None):
        state, value = TrialState.FAILED, None
    elif trial.is_done and trial.iterations >= longest:
        state, value = TrialState.COMPLETED, last
    else:
        state, value = TrialState.PRUNED, curve[-1][1] if curve else None
    seconds = _float(trial.results[-1].get("time_total_s")) if trial.results else None
    return TrialRecord(
        number=number,
        params=trial.params,
        state=state,
        value=value,
        epoch=trial.iterations,
        curve=curve,
        note=trial.folder.name,
        seconds=max(0.0, seconds or 0.0),
    )


def _space(
    folder: Path, trials: Sequence[_Trial], options: ImportOptions
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    if options.space is None:
        inferred = infer_space([trial.params for trial in trials])
        if not inferred.space:
            reasons = "\n".join(inferred.notes)
            raise InputError(
                f"{folder}: no parameter differs between trials: nothing can be learned from it\n{reasons}"
            )
        return inferred.space, tuple(f"space, inferred: {note}" for note in inferred.notes)
    tried = {name for trial in trials for name in trial.params}
    space = {name: dict(spec) for name, spec in options.space.items() if name in tried}
    if not space:
        have = ", ".join(sorted(tried)[:_SHOWN])
        raise InputError(
            f"{folder} has no parameter of {options.space_from}: its trials have {have}; leave out --space-from"
        )
    missing = [name for name in options.space if name not in tried]
    notes = [f"space of {options.space_from}: {', '.join(space)}"]
    return space, (*notes, *(f"{name} is left out: no trial has it" for name in missing))


def _within(record: TrialRecord, space: Mapping[str, Any]) -> TrialRecord:
    """Without what is no parameter of the space."""
    return replace(record, params={name: value for name, value in record.params.items() if name in space})


def _began(trials: Sequence[_Trial]) -> datetime:
    """When the first result came; where results have no time, when a trial's folder was last written to."""
    stamps = [_float(row.get("timestamp")) for trial in trials for row in trial.results[:1]]
    known = [stamp for stamp in stamps if stamp is not None]
    first = min(known) if known else min(trial.folder.stat().st_mtime for trial in trials)
    return datetime.fromtimestamp(first, UTC)


def _float(value: object) -> float | None:
    """A finite number, also as a table writes it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _int(value: object, default: int) -> int:
    number = _float(value)
    return default if number is None else int(number)
