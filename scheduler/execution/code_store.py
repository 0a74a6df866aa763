"""Snapshots of code under ``$SPOTWISE_HOME/code``, each in a folder that its fingerprint names: runs of the same code
share one. A folder appears whole or not at all, and nothing in it is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from ..core.errors import EngineError, InputError
from .code_listing import CodeListing

_DRAFT = ".part"
_CHUNK_BYTES = 2**20
_IN_USE_S = 3600.0  # younger than this, a snapshot may belong to a submission that is not in the store yet


def code_folder(home: Path) -> Path:
    """Where snapshots lie, each in a folder of its fingerprint's name."""
    return home / "code"


def add_snapshot(home: Path, listing: CodeListing) -> str:
    """Copy the code into the store, unless it is there; its fingerprint.

    Raises:
        InputError: a file cannot be read, or the store not be written.
    """
    store = code_folder(home)
    draft = store / f".{secrets.token_hex(8)}{_DRAFT}"
    try:
        draft.mkdir(mode=0o700, parents=True)
        fingerprint = _copied(listing, draft)
        _put(draft, store / fingerprint, fingerprint)
    except OSError as error:
        where = error.filename or store
        raise InputError(f"code: {where}: {error.strerror or error}; mend that and submit again") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # it is there only where a step failed, or was not needed
    return fingerprint


def unpack(snapshot: Path, to: Path, left_out: Iterable[str], source: Path) -> None:
    """Make a work folder of its own from a snapshot, unless it is there: programs write into it.

    Args:
        left_out: paths of the folder ``source`` that are no part of the snapshot; they become links to it.

    Raises:
        EngineError: the snapshot is gone or damaged, or the disk refuses.
    """
    if to.is_dir():
        return
    draft = to.parent / f".{to.name}.{secrets.token_hex(8)}{_DRAFT}"
    try:
        if not snapshot.is_dir():
            raise EngineError(f"the code of this run, {snapshot}, is gone; submit it again")
        shutil.copytree(snapshot, draft, symlinks=True)
        if fingerprint_of(draft) != snapshot.name:
            raise EngineError(f"the code of this run, {snapshot}, is damaged; remove that folder and submit again")
        for path in left_out:
            link = draft / path
            link.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(link):
                link.symlink_to(source / path)
        _renamed(draft, to)
    except (OSError, shutil.Error) as error:
        raise EngineError(f"{to} cannot be made: {error}; check its disk, its rights and its space") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def fingerprint_of(folder: Path) -> str:
    """SHA-256 over names, modes and content of all that is in a folder; times and owners do not count."""
    lines: list[bytes] = []
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root) / name
            lines.append(_line(path, str(path.relative_to(folder))))
    return _digest(lines)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether both are files of the same content, or links to the same; folders are neither."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    if not one.is_file() or not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    return _sha256(one) == _sha256(other)


def unused_snapshots(home: Path, in_use: Collection[str]) -> list[Path]:
    """Snapshots, and drafts of submissions that died, that no run needs any more.

    Args:
        in_use: fingerprints of the runs that are kept.
    """
    store = code_folder(home)
    found = sorted(store.iterdir()) if store.is_dir() else []
    now = time.time()  # beside the times of files, which are the machine's too
    return [path for path in found if path.name not in in_use and now - path.stat().st_mtime > _IN_USE_S]


def _copied(listing: CodeListing, draft: Path) -> str:
    for path in listing.folders:
        (draft / path).mkdir(parents=True, exist_ok=True)
    for path, target in listing.links.items():
        (draft / path).symlink_to(target)
    for path, source in listing.files.items():
        shutil.copyfile(source, draft / path)
        shutil.copystat(source, draft / path)
        (draft / path).chmod(0o700 if source.stat().st_mode & 0o100 else 0o600)
    return fingerprint_of(draft)


def _put(draft: Path, to: Path, fingerprint: str) -> None:
    """Give the draft its name, unless the same is there already and whole."""
    if to.is_dir() and fingerprint_of(to) == fingerprint:
        os.utime(to)  # a collector of old snapshots sees that it is wanted again
        return
    if to.is_dir():
        damaged = draft.with_name(f"{draft.name}{_DRAFT}")
        to.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    os.utime(draft)
    _renamed(draft, to)


def _renamed(draft: Path, to: Path) -> None:
    try:
        draft.rename(to)
    except OSError:
        if not to.is_dir():  # else another process was faster, with the same content
            raise


def _line(path: Path, name: str) -> bytes:
    if path.is_symlink():
        kind, detail = "link", os.fsencode(path.readlink())
    elif path.is_dir():
        kind, detail = "folder", b""
    else:
        kind = "program" if path.stat().st_mode & 0o100 else "file"
        detail = _sha256(path).encode()
    return b"\0".join((os.fsencode(name), kind.encode(), detail))


def _digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"\0\0".join(sorted(lines))).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
