"""What is checked of a job file as a whole: keys against each other, deadlines against the clock, folders against disk.

All checks look at the raw content, so that a fault in one value does not hide these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from spotwise.cost_models.selection import problems

from . import skypilot_keys
from .quantities import parse_deadline, shown
from .validation_errors import Fault, did_you_mean
from .validation_errors import Path as KeyPath
from .yaml_reader import YamlFile


def faults_between_keys(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Keys that do not go together, and a sweep without an end."""
    sweep = data.get("sweep")
    if sweep is not None and "retrain" in data:
        yield Fault(("retrain",), "found beside sweep; allowed: one of sweep and retrain")
    if not isinstance(sweep, dict):
        return
    for term in ("budget", "deadline"):
        if term in data and term in sweep:
            yield Fault(("sweep", term), f"found beside {term} of the job; allowed: one of them")
    if not {"trials", "budget", "deadline"} & sweep.keys() and not {"budget", "deadline"} & data.keys():
        yield Fault(("sweep", "trials"), "missing; required: trials, budget or deadline, or the sweep never ends")
    stopping, work = sweep.get("early_stopping"), data.get("work")
    freezes = isinstance(stopping, dict) and stopping.get("type") == "freeze_thaw"
    if freezes and "stop_when" in sweep:
        yield Fault(("sweep", "stop_when"), "found beside freeze_thaw, which ends by itself; allowed: one of them")
    if freezes and not (isinstance(work, dict) and work.get("epochs")):
        yield Fault(("work", "epochs"), "missing; required: a whole trial's, for freeze_thaw to foresee its end")


def resource_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Unknown keys of ``resources``: with a slip such as ``acelerators`` the job would run on the wrong machine. And
    values by which no offer can be chosen.
    """
    resources = data.get("resources")
    if not isinstance(resources, dict):
        return
    places: list[tuple[KeyPath, Any]] = [(("resources",), resources)]
    for several in ("any_of", "ordered"):
        listed = resources.get(several)
        entries = listed if isinstance(listed, list) else []
        if listed is not None and not isinstance(listed, list):
            yield Fault(("resources", several), f"found {shown(listed)}; allowed: a list of mappings")
        places += [(("resources", several, f"[{i}]"), entry) for i, entry in enumerate(entries)]
    for path, mapping in places:
        if not isinstance(mapping, dict):
            yield Fault(path, f"found {shown(mapping)}; allowed: a mapping of keys to values")
            continue
        yield from (Fault((*path, key), problem) for key, problem in problems(mapping))
        for key in mapping:
            if key not in skypilot_keys.RESOURCE_KEYS:
                nearest = did_you_mean(key, sorted(skypilot_keys.RESOURCE_KEYS))
                yield Fault((*path, key), f"unknown key; allowed: the keys of SkyPilot's resources{nearest}")


def past_deadline(file: YamlFile, now: datetime) -> Iterator[Fault]:
    """Deadlines that are timestamps and have passed."""
    sweep = file.data.get("sweep")
    places: list[tuple[KeyPath, object]] = [(("deadline",), file.data.get("deadline"))]
    places += [(("sweep", "deadline"), sweep.get("deadline"))] if isinstance(sweep, dict) else []
    for path, value in places:
        try:
            deadline = parse_deadline(value)
        except ValueError:
            continue  # missing, or a fault that validation names
        if deadline.at is not None and deadline.at <= now:
            yield Fault(path, f"found {shown(value)}, which is past; allowed: later than {now:%Y-%m-%dT%H:%M:%SZ}")


def missing_workdir(file: YamlFile, path: Path) -> Iterator[Fault]:
    """A ``workdir`` that is neither beside the job file ``path`` nor in the current folder."""
    workdir = file.data.get("workdir")
    if isinstance(workdir, str) and not workdir_of(workdir, path).is_dir():
        places = f"{path.parent.absolute()} or {Path.cwd()}"
        yield Fault(("workdir",), f"found {shown(workdir)}, no folder in {places}; allowed: a folder that exists")


def workdir_of(workdir: str, path: Path) -> Path:
    """Beside the job file if such a folder is there, else in the current folder, where SkyPilot looks."""
    given = Path(workdir).expanduser()
    beside = (path.parent / given).absolute()
    return Path(os.path.normpath(beside if beside.is_dir() else given.absolute()))
