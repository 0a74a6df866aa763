"""What is checked of a job file as a whole: keys against each other, deadlines against the clock, folders against disk.

All checks look at the raw content, so that a fault in one value does not hide these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .best_epoch import keep_best_faults
from .file_mounts import filled_in
from .grid import count_of, grid_faults
from .local_paths import beside, is_folder
from .quantities import LONGEST, parse_deadline, shown
from .validation_errors import Fault
from .validation_errors import Path as KeyPath
from .yaml_reader import YamlFile


def faults_between_keys(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Keys that do not go together, and a sweep without an end."""
    yield from keep_best_faults(data)
    sweep = data.get("sweep")
    if sweep is not None and "retrain" in data:
        yield Fault(("retrain",), "found beside sweep; allowed: one of sweep and retrain")
    if not isinstance(sweep, dict):
        return
    for term in ("budget", "deadline"):
        if term in data and term in sweep:
            yield Fault(("sweep", term), f"found beside {term} of the job; allowed: one of them")
    yield from grid_faults(sweep)
    has_end = {"trials", "budget", "deadline"} & sweep.keys() or {"budget", "deadline"} & data.keys()
    if not has_end and count_of(sweep) is None:
        yield Fault(("sweep", "trials"), "missing; required: trials, budget or deadline, or the sweep never ends")
    stopping, work = sweep.get("early_stopping"), data.get("work")
    freezes = isinstance(stopping, dict) and stopping.get("type") == "freeze_thaw"
    if freezes and "stop_when" in sweep:
        yield Fault(("sweep", "stop_when"), "found beside freeze_thaw, which ends by itself; allowed: one of them")
    if freezes and not (isinstance(work, dict) and work.get("epochs")):
        yield Fault(("work", "epochs"), "missing; required: a whole trial's, for freeze_thaw to foresee its end")


def empty_variables(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Variables that whoever submits has to give: SkyPilot's `sky launch --env` sets them too."""
    envs = data.get("envs")
    for name, value in envs.items() if isinstance(envs, dict) else ():
        if value is None:
            yield Fault(("envs", name), f"found nothing; allowed: text, '' for none, or --env {name}[=VALUE]")


def past_deadline(file: YamlFile, now: datetime) -> Iterator[Fault]:
    """Deadlines that are timestamps and have passed, or never come."""
    sweep = file.data.get("sweep")
    places: list[tuple[KeyPath, object]] = [(("deadline",), file.data.get("deadline"))]
    places += [(("sweep", "deadline"), sweep.get("deadline"))] if isinstance(sweep, dict) else []
    for path, value in places:
        try:
            deadline = parse_deadline(value)
        except ValueError:
            continue  # missing, or a fault that validation names
        if deadline.at is not None and deadline.at > now + LONGEST:
            yield Fault(path, f"found {shown(value)}; allowed: at most ten years from now")
        if deadline.at is not None and deadline.at <= now:
            yield Fault(path, f"found {shown(value)}, which is past; allowed: later than {now:%Y-%m-%dT%H:%M:%SZ}")


def missing_workdir(file: YamlFile, path: Path) -> Iterator[Fault]:
    """A ``workdir`` that is neither beside the job file ``path`` nor in the current folder."""
    workdir = file.data.get("workdir")
    envs = file.data.get("envs")
    filled = filled_in(workdir, envs if isinstance(envs, dict) else {}) if isinstance(workdir, str) else ""
    if isinstance(workdir, str) and not is_folder(beside(filled, path, is_folder)):
        places = f"{path.parent.absolute()} or {Path.cwd()}"
        yield Fault(("workdir",), f"found {shown(workdir)}, no folder in {places}; allowed: a folder that exists")


def workdir_of(workdir: str, path: Path) -> Path:
    """Beside the job file if such a folder is there, else in the current folder, where SkyPilot looks."""
    return beside(workdir, path, is_folder)
