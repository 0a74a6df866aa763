"""Whether a place can be ``skypilot.storage`` at all: known from its name, before anything is written."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .tasks import BEHIND_URLS


@dataclass(frozen=True, slots=True)
class StorageProblem:
    """Why nodes and scheduler cannot exchange files at a place."""

    found: str
    fix: str  # what to do


def storage_problem(storage: str | None) -> StorageProblem | None:
    """Why a storage cannot be used at all; None where it is worth a try."""
    if storage is None:
        return StorageProblem(
            "skypilot.storage is not set: nodes and scheduler have no place to exchange files",
            "set it to a URL such as s3://bucket/spotwise, or to a folder that the nodes see too",
        )
    return _slip(storage) or (_folder_problem(storage) if is_folder(storage) else _url_problem(storage))


def _slip(storage: str) -> StorageProblem | None:
    """Half a URL, or a URL of what has to be a path."""
    scheme, _, rest = storage.partition(":")
    if scheme == "file":
        path = unquote(urlsplit(storage).path)
        return StorageProblem(f"{storage} is a folder, written as a URL", f"write the path itself: {path}")
    if scheme in BEHIND_URLS and not rest.startswith("//"):
        fix = f"did you mean {scheme}://{rest.lstrip('/')}"
        return StorageProblem(f"{storage} is no URL: one has :// after its scheme", fix)
    return None


def _url_problem(storage: str) -> StorageProblem | None:
    scheme = urlsplit(storage).scheme
    if scheme not in BEHIND_URLS:
        return StorageProblem(f"nodes cannot open {scheme}://", f"use one of {', '.join(BEHIND_URLS)}")
    missing = [name for name in BEHIND_URLS[scheme] if importlib.util.find_spec(name) is None]
    if missing:
        wanted = "'spotwise[s3]'" if scheme == "s3" else " ".join(missing)
        return StorageProblem(f"{scheme}:// needs {' and '.join(missing)} here", f"pip install {wanted}")
    return None


def is_folder(storage: str) -> bool:
    """Whether it names a folder, and not a URL."""
    return "://" not in storage or urlsplit(storage).scheme == "file"


def _folder_problem(storage: str) -> StorageProblem | None:
    folder = Path(storage).expanduser()
    if not folder.is_absolute():
        fix = f"write the whole path, such as {folder.absolute()}, if the nodes see it there too; else a URL"
        return StorageProblem(f"{storage} is a relative path: nodes count it from another folder", fix)
    if not folder.is_dir():
        return StorageProblem(f"{storage} is no folder here", "make it, on a drive that the nodes see too")
    return None
