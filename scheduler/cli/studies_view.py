"""Studies as people read them, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.ansi import plain
from ..core.configurations import conditions_of
from ..core.money import short_usd
from ..core.study import StudyRecord, TrialRecord, TrialState, shown_params
from ..core.text import counted
from ..store.studies import Added
from ..tuning.exchange.file import document_of
from .responsive_table import ResponsiveTable, stacked
from .studies_actions import Imported

BEST_SHOWN = 5
LEAST_CONFIGURATION = 30  # characters of a line: in fewer, configurations are hard to read
STATES = {  # of a study that is over
    TrialState.COMPLETED: "completed",
    TrialState.PRUNED: "stopped early",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "cut short",
}


def print_list(studies: Sequence[StudyRecord], console: Console) -> None:
    """A row a study."""
    if studies:
        console.print(_list_table(studies))
    else:
        print("no study yet: every sweep is kept when it ends; `spotwise studies import` brings those of others")


def studies_json(studies: Sequence[StudyRecord]) -> dict[str, Any]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC."""
    return {"studies": [_row_json(study) for study in studies]}


def study_json(study: StudyRecord) -> dict[str, Any]:
    """The study as an export has it, with what follows from its trials."""
    states = Counter(trial.state for trial in study.trials)
    return {
        **document_of(study),
        "states": {state.value: states[state] for state in TrialState},
        "best_trials": [trial.number for trial in study.best_trials(BEST_SHOWN)],
    }


def print_study(study: StudyRecord, console: Console) -> None:
    """What it was, what it searched, what it found."""
    console.print(Text(f"{plain(study.id)}  (job {plain(study.job_name)})", style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _facts(study):
        grid.add_row(label, Text(plain(text)))
    for number, (name, spec) in enumerate(study.space.items()):
        grid.add_row("" if number else "space", Text(plain(f"{name}: {spec_text(spec)}")))
    console.print(grid)
    best = study.best_trials(BEST_SHOWN)
    if best:
        console.print(_best_table(study, best))


def print_imported(imported: Sequence[Imported], notes: Sequence[str]) -> None:
    """What was read and how, then what is new."""
    for note in notes:
        print(f"note: {plain(note)}")
    for each in imported:
        study = each.study
        if each.added is Added.UNCHANGED:
            print(f"{plain(study.id)} is here already and unchanged")
        else:
            best = study.best()
            found = "" if best is None else f", best {study.metric} {_value(best.value)}"
            print(f"imported {plain(study.id)}: {counted(len(study.trials), 'trial')}{plain(found)}")


def spec_text(spec: Mapping[str, Any]) -> str:
    """``float, 0.0001 to 0.1, log``"""
    return _values_text(spec) + _conditions_text(spec)


def _conditions_text(spec: Mapping[str, Any]) -> str:
    """``; with optimizer=sgd``"""
    conditions = conditions_of(spec).items()
    return "".join(f"; with {parent}={' or '.join(map(str, allowed))}" for parent, allowed in conditions)


def _values_text(spec: Mapping[str, Any]) -> str:
    if spec["type"] == "categorical":
        return f"one of {', '.join(str(choice) for choice in spec['choices'])}"
    step = f", step {spec['step']:g}" if spec.get("step") not in (None, 1) and not spec.get("log") else ""
    return f"{spec['type']}, {spec['low']:g} to {spec['high']:g}{', log' if spec.get('log') else ''}{step}"


def _list_table(studies: Sequence[StudyRecord]) -> ResponsiveTable:
    wide = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("study", "job", "metric"):
        wide.add_column(name, no_wrap=True)
    for name in ("trials", "best", "USD"):
        wide.add_column(name, justify="right", no_wrap=True)
    for name in ("basis", "when (UTC)"):
        wide.add_column(name, no_wrap=True)
    narrow = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    narrow.add_column(stacked("study", "job"), overflow="fold")
    narrow.add_column(stacked("metric", "goal"), overflow="fold")
    for above, below in (("trials", "best"), ("USD", "basis")):
        narrow.add_column(stacked(above, below), justify="right", no_wrap=True)
    narrow.add_column(stacked("when", "(UTC)"), no_wrap=True)
    for study in studies:
        study_id, job, metric = plain(study.id), plain(study.job_name), plain(study.metric)
        trials, best, usd, basis = _numbers(study)
        day, hour = f"{study.created_at:%Y-%m-%d}", f"{study.created_at:%H:%M}"
        wide.add_row(
            Text(study_id), Text(job), Text(f"{study.goal} {metric}"), trials, best, usd, basis, f"{day} {hour}"
        )
        about = stacked(study_id, Text(job, style="dim"))
        narrow.add_row(
            about, stacked(metric, study.goal), stacked(trials, best), stacked(usd, basis), stacked(day, hour)
        )
    return ResponsiveTable(wide, narrow)


def _numbers(study: StudyRecord) -> tuple[str, str, str, str]:
    best, usd = study.best(), study.known_cost_usd()
    value = "-" if best is None else _value(best.value)
    return str(len(study.trials)), value, "-" if usd is None else short_usd(usd), study.cost_basis or "-"


def _best_table(study: StudyRecord, best: Sequence[TrialRecord]) -> ResponsiveTable:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("best trials", plain(study.metric), "epochs", "USD"):
        table.add_column(Text(name), justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold", min_width=LEAST_CONFIGURATION)
    for trial in best:
        usd = "-" if trial.cost_usd is None else short_usd(trial.cost_usd)
        configuration = Text(plain(shown_params(trial.params)))
        table.add_row(str(trial.number), _value(trial.value), str(trial.epoch), usd, configuration)
    return ResponsiveTable(table)


def _facts(study: StudyRecord) -> list[tuple[str, str]]:
    states = Counter(trial.state for trial in study.trials)
    of_each = ", ".join(f"{states[state]} {word}" for state, word in STATES.items() if states[state])
    facts = [
        ("metric", f"{study.metric}, to {study.goal}"),
        ("began", f"{study.created_at:%Y-%m-%d %H:%M} UTC"),
        ("trials", f"{len(study.trials)}: {of_each}" if study.trials else "none"),
        ("cost", _cost(study)),
        ("ran on", ", ".join(str(machine) for machine in study.machines) or "unknown"),
        ("data", _data(study)),
        ("labels", ", ".join(f"{name}={value}" for name, value in study.labels.items() if value)),
        ("learned from", ", ".join(study.priors) or "no past study"),
        ("imported from", study.origin),
    ]
    return [(label, text) for label, text in facts if text]


def _cost(study: StudyRecord) -> str:
    whole, of_trials = study.known_cost_usd(), study.cost_of_trials_usd()
    if whole is None:
        return "unknown"
    basis = f", {study.cost_basis}" if study.cost_basis else ""
    apart = f"; {short_usd(of_trials)} of it held by trials" if of_trials is not None and of_trials != whole else ""
    return f"{short_usd(whole)} USD{basis}{apart}"


def _data(study: StudyRecord) -> str:
    if study.task is None:
        return ""
    size = "" if study.task.size is None else f"{study.task.size} examples"
    return ", ".join(part for part in (study.task.data or "", size) if part)


def _row_json(study: StudyRecord) -> dict[str, Any]:
    best, usd = study.best(), study.known_cost_usd()
    return {
        "id": study.id,
        "job": study.job_name,
        "metric": study.metric,
        "goal": study.goal,
        "trials": len(study.trials),
        "best_value": None if best is None else best.value,
        "cost_usd": None if usd is None else str(usd),
        "cost_basis": study.cost_basis or None,
        "created_at": study.created_at.isoformat(),
        "origin": study.origin or None,
    }


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
