"""Which files of a folder are its code: all but what `.skyignore` or `.gitignore` leave out, and what no code is.

Symbolic links that lead to another place of the folder stay links; one that leads out of it is followed, since what
it leads to may change after submission.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import InputError
from . import sky_ignore
from .git import git_ignored, is_in_repository
from .sky_ignore import SkyIgnore

MAX_FILES = 50_000
MAX_BYTES = 512 * 2**20
_LOOKED_AT = 4  # so many times the limits are looked at, to say what it is that takes the room
_MAX_LEFT_OUT = 20_000
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_NO_CODE = frozenset({".git", "node_modules"})
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")  # what is in a virtual environment's folder


@dataclass(frozen=True, slots=True)
class Limits:
    """How much code a folder may hold."""

    files: int = MAX_FILES
    size_bytes: int = MAX_BYTES


@dataclass(slots=True)
class CodeListing:
    """The code of a folder. Paths are relative, with slashes."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)  # and where each is read
    links: dict[str, str] = field(default_factory=dict)  # and where each leads
    folders: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # a folder stands for all in it
    size_bytes: int = 0


def list_code(folder: Path, apart: Collection[Path] = (), limits: Limits | None = None) -> CodeListing:
    """The code of a folder.

    Args:
        apart: folders that are no code although they may lie in it, such as a home of spotwise.

    Raises:
        InputError: there is more than the limits allow, or a file or folder cannot be read.
    """
    return _Walk(folder, apart, limits or Limits()).listing()


class _Walk:
    def __init__(self, folder: Path, apart: Collection[Path], limits: Limits) -> None:
        self._root, self._limits = folder, limits
        self._real_root = os.path.realpath(folder)
        self._apart = {os.path.realpath(path) for path in apart}
        self._found = CodeListing(folder)
        self._sizes: Counter[str] = Counter()  # bytes by what lies in the folder directly
        self._sky_ignore = _sky_ignore_of(folder)
        self._git_ignored = frozenset() if self._sky_ignore is not None else git_ignored(folder)

    def listing(self) -> CodeListing:
        self._enter(self._root, "", (self._real_root,))
        if self._is_above(1):
            raise InputError(self._too_much())
        if len(self._found.left_out) > _MAX_LEFT_OUT:
            raise InputError(
                f"code: {self._root} has more than {_MAX_LEFT_OUT} single files that {self._ignore_file()} leaves "
                "out; name their folder there instead, or say `code: live` in the job file"
            )
        return self._found

    def _enter(self, folder: Path, inside: str, above: tuple[str, ...]) -> None:
        """Take what is in ``folder``; ``above`` are the real folders on the way, so that a ring of links ends."""
        for entry in _entries(folder):
            if self._is_above(_LOOKED_AT):
                return
            path = f"{inside}{entry.name}"
            try:
                self._take(entry, path, above)
            except OSError as error:
                raise _unreadable(entry.path, error) from error

    def _take(self, entry: os.DirEntry[str], path: str, above: tuple[str, ...]) -> None:
        target = os.path.realpath(entry.path)
        if target in self._apart or entry.name in _CACHES:
            return
        if self._is_left_out(entry, path):
            self._found.left_out.append(path)
        elif entry.is_symlink() and (self._leads_inside(target) or not Path(target).exists()):
            self._found.links[path] = _relative(entry, target)
        elif entry.is_dir():
            if target in above:
                return
            self._found.folders.append(path)
            if (Path(entry.path) / ".git").exists():  # a submodule, or a repository in the repository
                self._git_ignored |= {f"{path}/{ignored}" for ignored in git_ignored(Path(entry.path))}
            self._enter(Path(entry.path), f"{path}/", (*above, target))
        elif entry.is_file():
            self._found.files[path] = Path(entry.path)
            size = entry.stat().st_size
            self._found.size_bytes += size
            self._sizes[path.partition("/")[0]] += size
        else:  # a pipe, a socket or a device
            self._found.left_out.append(path)

    def _is_left_out(self, entry: os.DirEntry[str], path: str) -> bool:
        if entry.name in _NO_CODE or path in self._git_ignored:
            return True
        is_folder = entry.is_dir()
        if is_folder and any(os.path.lexists(os.path.join(entry.path, name)) for name in _ENVIRONMENTS):  # noqa: PTH118
            return True
        return self._sky_ignore is not None and self._sky_ignore.names(path, is_folder=is_folder)

    def _leads_inside(self, target: str) -> bool:
        return target == self._real_root or target.startswith(self._real_root + os.sep)

    def _is_above(self, times: int) -> bool:
        found, limits = self._found, self._limits
        return len(found.files) > times * limits.files or found.size_bytes > times * limits.size_bytes

    def _too_much(self) -> str:
        limits, count = self._limits, len(self._found.files)
        biggest = ", ".join(f"{name} {_size(size)}" for name, size in self._sizes.most_common(3))
        return (
            f"code: {self._root} holds {count} files of {_size(self._found.size_bytes)} or more, and a snapshot takes "
            f"{limits.files} files and {_size(limits.size_bytes)}; the largest: {biggest}. Name what is no code in "
            f"{self._ignore_file()} (on this machine programs still find it in its place), or say `code: live` in the "
            "job file: then attempts that start later run the folder as it is by then"
        )

    def _ignore_file(self) -> str:
        name = ".gitignore" if self._sky_ignore is None and is_in_repository(self._root) else sky_ignore.NAME
        return str(self._root / name)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(str(folder), error) from error


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(
        f"code: {path} cannot be read: {error.strerror or error}; make it readable, or name it in .skyignore or "
        ".gitignore"
    )


def _relative(entry: os.DirEntry[str], target: str) -> str:
    """Where a link leads, so that it leads there in a copy of the folder too."""
    written = Path(entry.path).readlink()
    if not written.is_absolute() or not Path(target).exists():
        return str(written)
    return os.path.relpath(target, os.path.realpath(Path(entry.path).parent))


def _sky_ignore_of(folder: Path) -> SkyIgnore | None:
    path = folder / sky_ignore.NAME
    if not path.is_file():
        return None
    try:
        return SkyIgnore.parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _size(count: int) -> str:
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, (count.bit_length() - 1) // 10))
    return f"{count / 1024**power:.3g} {units[power]}"
