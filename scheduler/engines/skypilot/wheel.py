"""The wheel of spotwise that nodes install: made from what is installed here, so that both sides are the same version.

Standard library only, no network and no build backend: it is made while a run is being launched, also where spotwise
itself came from a wheel. Equal files give equal bytes, whenever and wherever they were read.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from spotwise.checkpoints.atomic_file import write_atomic

from ...core.errors import EngineError

_NAME = "spotwise"
_FOLDERS = ("checkpoints", "cost_models", "recipes", "scheduler")  # an editable namespace cannot be listed
# A checkout's folders also collect what programs leave there, such as checkpoints: these, and py.typed, are ours.
_SUFFIXES = frozenset({".css", ".csv", ".j2", ".md", ".py", ".sh", ".yaml"})
_TABLES = "data"  # the folder of shipped tables
# README and licence file stay out: they say nothing to pip, and an editable install keeps a README of long ago.
_FIELDS = ("Metadata-Version", "Name", "Version", "Summary", "License-Expression", "Requires-Python")
_LISTS = ("Provides-Extra", "Requires-Dist")  # fields that stand there as often as there are extras and requirements
_WHEEL = "Wheel-Version: 1.0\nGenerator: spotwise\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_MODE = 0o100644  # of every file in it: regular, read by all
_READ_BY_ALL = 0o644  # others than who made it may start nodes

Files = Mapping[str, bytes]  # by their names in the wheel


def build_wheel(folder: Path) -> Path:
    """Write ``spotwise-<version>-py3-none-any.whl`` of the installed spotwise into ``folder``; the file's path.

    It appears whole or not at all, also where several build it at once. One that is there and still right is kept.

    Raises:
        EngineError: spotwise is not installed, or the folder cannot be written to.
    """
    distribution = _distribution()
    wheel = folder / f"{_NAME}-{distribution.version}-py3-none-any.whl"
    try:
        data = _packed(_with_record({**_sources(), **_metadata(distribution)}, _info_folder(distribution)))
        if not wheel.is_file() or wheel.read_bytes() != data:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(wheel, data, durable=False, mode=_READ_BY_ALL)
    except OSError as error:
        raise EngineError(f"the wheel of spotwise cannot be made in {folder}: {error}") from error
    return wheel


def wheel_digest(wheel: Path) -> str:
    """What tells a wheel from one of the same version with other files: 16 hexadecimal digits."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]


def _distribution() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError as error:
        message = "spotwise runs from a folder but is not installed, so that nodes cannot get it: pip install it"
        raise EngineError(message) from error


def _info_folder(distribution: importlib.metadata.Distribution) -> str:
    return f"{_NAME}-{distribution.version}.dist-info"


def _sources() -> dict[str, bytes]:
    """Every file of every package, in an order that no file system changes."""
    found = {}
    for folder in _FOLDERS:
        root = _location(folder)
        for path in sorted(_shipped(root)):
            found[f"{_NAME}/{folder}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    return found


def _location(folder: str) -> Path:
    """Where a package lies: in site-packages, or where an editable install points to."""
    spec = importlib.util.find_spec(f"{_NAME}.{folder}")
    if spec is None or spec.origin is None:
        raise EngineError(f"{_NAME}.{folder} is not installed whole: install spotwise again")
    return Path(spec.origin).parent


def _shipped(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        is_table = path.suffix == ".json" and path.parent.name == _TABLES  # other JSON is what programs left
        if (path.suffix in _SUFFIXES or is_table or path.name == "py.typed") and path.is_file():
            yield path


def _metadata(distribution: importlib.metadata.Distribution) -> dict[str, bytes]:
    """The three files of ``.dist-info`` that say what the wheel is."""
    info = _info_folder(distribution)
    fields = [(key, value) for key in _FIELDS + _LISTS for value in distribution.metadata.get_all(key, [])]
    texts = {
        "METADATA": "".join(f"{key}: {value}\n" for key, value in fields),
        "WHEEL": _WHEEL,
        "entry_points.txt": distribution.read_text("entry_points.txt") or "",
    }
    return {f"{info}/{name}": text.encode() for name, text in texts.items()}


def _with_record(files: Files, info: str) -> Files:
    """The same files and the list of them, with the hash and the size of each; last, as in every wheel."""
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in files.items()]
    return {**files, record: "".join([*lines, f"{record},,\n"]).encode()}


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            entry = ZipInfo(name, _TIME)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, data, ZIP_DEFLATED)
    return buffer.getvalue()
