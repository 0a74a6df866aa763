"""What `spotwise doctor` checks of ``skypilot.storage``, where nodes and scheduler exchange a run's files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from spotwise.checkpoints import storage_for

from ..core.clock import Clock
from ..engines.skypilot.files import FAULTS
from ..engines.skypilot.storage_location import is_folder, storage_problem
from ..engines.skypilot.tasks import pool_of
from ..jobfile.settings import SkyPilotSettings
from .check import Check, failed, ok, warning

MOST_SKEW_S = 5.0
SHARES_FOLDERS = frozenset({"slurm", "kubernetes", "ssh"})  # nodes there may see a folder of this machine


def storage_checks(storage: str | None, clock: Clock) -> Iterator[Check]:
    """Whether it is named, can be opened, and really works."""
    problem = storage_problem(storage)
    if problem is not None or storage is None:
        yield failed("storage", problem.found if problem else "not set", problem.fix if problem else "")
        return
    yield storage_works(storage, clock)


def storage_works(storage: str, clock: Clock) -> Check:
    """Write a small object, read it, list it, delete it."""
    folder = f"doctor-{secrets.token_hex(4)}"
    name, data = f"{folder}/probe.txt", secrets.token_bytes(64)
    try:
        place = storage_for(storage)
        place.put(name, data)
        written_at = _written_at(storage, name)
        faults = [] if place.read(name) == data else ["what was written is not what is read"]
        faults += [] if name in place.files(folder) else ["what was written is not listed"]
        place.remove(folder)
        faults += ["what was deleted is still listed"] if place.files(folder) else []
    except FAULTS as fault:
        found = str(fault) if storage in str(fault) else f"{storage}: {fault}"
        return failed("storage", found, "check the name, credentials and rights to write and delete")
    if faults:
        return failed("storage", f"{storage}: {' and '.join(faults)}", "use a storage that shows writes at once")
    return _in_step(storage, written_at, clock.now())


def reach_checks(settings: SkyPilotSettings, infras: Sequence[str]) -> Iterator[Check]:
    """Nodes of a cloud never see a folder of this machine; those of a cluster may."""
    if settings.storage is None or not is_folder(settings.storage):
        return
    enabled = {infra.partition("/")[0].lower() for infra in infras}
    named = {cloud.lower() for cloud in settings.clouds or ()} | {pool_of(p).cloud for p in settings.pools}
    away = sorted((enabled & named if named else enabled) - SHARES_FOLDERS)
    if away:
        fix = "set skypilot.storage to a URL such as s3://bucket/spotwise, or skypilot.clouds to others"
        yield failed("reach", f"nodes in {', '.join(away)} do not see the folder {settings.storage}", fix)
    else:
        yield ok("reach", f"nodes must see {settings.storage} under the same path: a launch shows whether they do")


def _written_at(storage: str, name: str) -> datetime | None:
    """When the storage says that it was written; a network drive's server tells its own time."""
    if not is_folder(storage):
        return None  # where it matters, object stores refuse clocks that are wrong
    path = Path(storage_for(storage).url) / name
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _in_step(storage: str, written_at: datetime | None, now: datetime) -> Check:
    skew_s = 0.0 if written_at is None else (now - written_at).total_seconds()
    if abs(skew_s) > MOST_SKEW_S:
        found = f"{storage} works, but its clock is {abs(skew_s):.0f} s {'behind' if skew_s > 0 else 'ahead'}"
        return warning("storage", found, "set both clocks by NTP: nodes and scheduler book by them")
    return ok("storage", f"{storage}: written, read, listed, deleted")
