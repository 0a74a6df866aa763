"""What `spotwise doctor` checks of ``skypilot.storage``, where nodes and scheduler exchange a run's files."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from spotwise.checkpoints import storage_for

from ...clock import Clock
from ...doctor import Check, failed, ok, warning
from ...settings import SkyPilotSettings
from .files import FAULTS
from .tasks import BEHIND_URLS, pool_of

MOST_SKEW_S = 5.0
SHARES_FOLDERS = frozenset({"slurm", "kubernetes", "ssh"})  # nodes there may see a folder of this machine


def storage_checks(storage: str | None, clock: Clock) -> Iterator[Check]:
    """Whether it is named, can be opened, and really works."""
    problem = storage_problem(storage)
    if problem is not None or storage is None:
        yield problem or failed("storage", "not set", "")
        return
    yield storage_works(storage, clock)


def storage_problem(storage: str | None) -> Check | None:
    """Why a storage cannot be used at all; None where it is worth a try."""
    if storage is None:
        return failed(
            "storage",
            "skypilot.storage is not set: nodes and scheduler have no place to exchange files",
            "set it to a URL such as s3://bucket/spotwise, or to a folder that the nodes see too",
        )
    return _slip(storage) or (_folder_problem(storage) if is_folder(storage) else _url_problem(storage))


def _slip(storage: str) -> Check | None:
    """Half a URL, or a URL of what has to be a path."""
    scheme, _, rest = storage.partition(":")
    if scheme == "file":
        path = unquote(urlsplit(storage).path)
        return failed("storage", f"{storage} is a folder, written as a URL", f"write the path itself: {path}")
    if scheme in BEHIND_URLS and not rest.startswith("//"):
        fix = f"did you mean {scheme}://{rest.lstrip('/')}"
        return failed("storage", f"{storage} is no URL: one has :// after its scheme", fix)
    return None


def _url_problem(storage: str) -> Check | None:
    scheme = urlsplit(storage).scheme
    if scheme not in BEHIND_URLS:
        return failed("storage", f"nodes cannot open {scheme}://", f"use one of {', '.join(BEHIND_URLS)}")
    missing = [name for name in BEHIND_URLS[scheme] if importlib.util.find_spec(name) is None]
    if missing:
        wanted = "'spotwise[s3]'" if scheme == "s3" else " ".join(missing)
        return failed("storage", f"{scheme}:// needs {' and '.join(missing)} here", f"pip install {wanted}")
    return None


def is_folder(storage: str) -> bool:
    return "://" not in storage or urlsplit(storage).scheme == "file"


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


def _folder_problem(storage: str) -> Check | None:
    folder = Path(storage).expanduser()
    if not folder.is_absolute():
        fix = f"write the whole path, such as {folder.absolute()}, if the nodes see it there too; else a URL"
        return failed("storage", f"{storage} is a relative path: nodes count it from another folder", fix)
    if not folder.is_dir():
        return failed("storage", f"{storage} is no folder here", "make it, on a drive that the nodes see too")
    return None


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
