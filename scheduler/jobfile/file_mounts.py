"""The files of this machine that a job brings along: ``file_mounts`` and ``storage_mounts``, with whole paths.

SkyPilot counts a relative source from the folder of whoever asks it: that of a supervisor, which other jobs share.
So each is looked up once, when the job file is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .local_paths import beside, exists
from .names import VARIABLE_PATTERN
from .quantities import shown
from .validation_errors import Fault
from .validation_errors import Path as KeyPath

KEYS = ("file_mounts", "storage_mounts")

_VARIABLE = re.compile(rf"\$\{{?\b({VARIABLE_PATTERN})\b\}}?")  # what SkyPilot fills in from envs and secrets


def with_whole_paths(sky: Mapping[str, Any], envs: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """SkyPilot's keys of the job file ``path``, with every local source as a whole path."""

    def whole(source: str) -> str:
        found = local_source(source, envs, path)
        return source if found is None else str(found)

    mounts = {key: sky[key] for key in KEYS if isinstance(sky.get(key), dict)}
    return {**sky, **{key: {to: _changed(m, whole) for to, m in at.items()} for key, at in mounts.items()}}


def missing_sources(data: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    """Local sources that are neither beside the job file ``path`` nor in the current folder."""
    envs = data.get("envs")
    for where, source in _sources(data):
        found = local_source(source, envs if isinstance(envs, dict) else {}, path)
        if found is not None and not exists(found):
            places = f" in {path.parent.absolute()} or {Path.cwd()}" if not _is_whole(source) else ""
            allowed = "a file or folder that exists, or a URL such as s3://bucket/path"
            yield Fault(where, f"found {shown(source)}, which is not there{places}; allowed: {allowed}")


def local_source(source: str, envs: Mapping[str, Any], path: Path) -> Path | None:
    """A source beside the job file ``path`` if it is there, else in the current folder, where SkyPilot looks.

    None: it is a URL, SkyPilot's own, or only known once SkyPilot has filled in a variable.
    """
    filled = filled_in(source, envs)
    if _is_url(filled) or filled.startswith("skypilot:") or _VARIABLE.search(filled):
        return None
    return beside(filled, path, exists)


def filled_in(text: str, envs: Mapping[str, Any]) -> str:
    """The text with the job's variables put in; others stay as they are written."""
    return _VARIABLE.sub(lambda match: str(envs.get(match[1], match[0])), text)


def _is_url(text: str) -> bool:
    try:
        return bool(urlsplit(text).netloc)
    except ValueError:  # brackets that hold no address
        return False


def _is_whole(source: str) -> bool:
    return source.startswith(("/", "~"))


def _changed(mount: Any, change: Callable[[str], str]) -> Any:
    """A mount is a source, or a mapping with one or several."""
    if isinstance(mount, str):
        return change(mount)
    if not isinstance(mount, dict) or "source" not in mount:
        return mount
    source = mount["source"]
    if isinstance(source, list):
        return {**mount, "source": [change(one) if isinstance(one, str) else one for one in source]}
    return {**mount, "source": change(source) if isinstance(source, str) else source}


def _sources(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for key in KEYS:
        mounts = data.get(key)
        for to, mount in mounts.items() if isinstance(mounts, dict) else ():
            inner = mount.get("source") if isinstance(mount, dict) else mount
            where: KeyPath = (key, str(to), "source") if isinstance(mount, dict) else (key, str(to))
            yield from ((where, one) for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, str))
