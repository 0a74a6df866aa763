"""The folder that holds a run's checkpoints: commits them whole or not at all, verifies, keeps the newest few."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import BinaryIO, cast

from .best import BestBy
from .digest import FileDigest, HashingStream, copy_hashed, difference
from .errors import CorruptError, NoSpaceError, SaveError, StorageError
from .manifest import MANIFEST, Manifest, TrainingEnd, decode_manifest, encode_manifest
from .storage import NoFileError, Storage, storage_for
from .strict_json import LONGEST_BYTES

_NAME = re.compile(r"step-[0-9]{9,15}")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


class CheckpointFolder:
    """Checkpoints of one run, each a folder ``step-<9 digits>``. A folder without a manifest is no checkpoint."""

    def __init__(self, storage: Storage, *, keep: int = 3, keep_best: BestBy | None = None) -> None:
        """``keep``: how many of the newest stay; ``keep_best``: what tells the one that stays besides."""
        self._storage = storage
        self._keep = keep
        self._keep_best = keep_best

    @property
    def url(self) -> str:
        return self._storage.url

    def names(self) -> list[str]:
        """Folders that are checkpoints or were to become one, oldest step first."""
        found = [name for name in self._storage.folders() if _NAME.fullmatch(name)]
        return sorted(found, key=_step_of)

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a checkpoint; None where there is none, which means that nothing was committed.

        Raises ``CorruptError`` where it cannot be understood, or is one of another checkpoint.
        """
        where = f"{self.url}/{name}/{MANIFEST}"
        try:
            self._require_inside(f"{name}/{MANIFEST}")
            data = self._storage.read(f"{name}/{MANIFEST}", 0, LONGEST_BYTES + 1)  # a longer one is none of ours
        except FileNotFoundError:
            return None
        except NoFileError as fault:
            raise CorruptError(f"{where} is no file.") from fault
        manifest = decode_manifest(data, source=where)
        if manifest.name != name:
            raise CorruptError(f"{where} is that of {manifest.name}.")
        return manifest

    def open(self, manifest: Manifest, file: str) -> BinaryIO:
        """A data file, after comparing it with the manifest. Raises ``CorruptError`` where they differ."""
        where = f"{self.url}/{manifest.name}/{file}"
        try:
            self._require_inside(f"{manifest.name}/{file}")
            stream = self._storage.open(f"{manifest.name}/{file}")
        except FileNotFoundError as fault:
            raise CorruptError(f"{where} is missing.") from fault
        except NoFileError as fault:
            raise CorruptError(f"{where} is no file.") from fault
        fault_found = _fault_of(stream, manifest.files[file])
        if fault_found:
            stream.close()
            raise CorruptError(f"{where} is damaged: {fault_found}.")
        stream.seek(0)
        return stream

    def verify(self, name: str) -> Manifest | None:
        """The manifest of an intact checkpoint; None where nothing was committed. Raises ``CorruptError``."""
        manifest = self.manifest(name)
        for file in manifest.files if manifest else ():
            self.open(cast("Manifest", manifest), file).close()
        return manifest

    def commit(self, draft: Manifest, file: str, write: Callable[[HashingStream], None]) -> Manifest:
        """Write one data file and then the manifest. Returns it with the file's hash.

        Raises ``SaveError`` (``NoSpaceError`` on a full disk), after removing what was written.
        """
        before = self._manifest_or_none(draft.name)
        try:
            entry = self._write_file(f"{draft.name}/{file}", write)
            manifest = replace(draft, files={file: entry})
            self._storage.put(f"{draft.name}/{MANIFEST}", encode_manifest(manifest))
        except (OSError, StorageError) as fault:
            self._undo(draft.name, file, before)
            raise _save_error(fault, f"{self.url}/{draft.name}") from fault
        return manifest

    def mark_ended(self, name: str, end: TrainingEnd) -> None:
        """Say in the manifest of a committed checkpoint that training has ended with it; its files stay as they are.

        Raises ``SaveError`` where that cannot be written. The checkpoint is then as it was.
        """
        try:
            manifest = self.manifest(name)
            if manifest is not None and not manifest.finished:
                self._storage.put(f"{name}/{MANIFEST}", encode_manifest(replace(manifest, end=end)))
        except (OSError, StorageError, CorruptError) as fault:
            raise _save_error(fault, f"{self.url}/{name}") from fault

    def prune(self, newest: str) -> None:
        """Remove what is no longer needed now that ``newest`` is committed: see ``surplus``."""
        names = self.names()
        committed = [name for name in names if self._storage_has_manifest(name)]
        usable = [name for name in committed if _step_of(name) <= _step_of(newest)]
        best = {manifest.name for manifest in self.ranked(usable)[:1]}
        for name in surplus(names, committed, newest, self._keep, best):
            self._storage.delete(f"{name}/{MANIFEST}")  # first, so that a crash leaves no manifest without its data
            self._storage.remove(name)

    def _require_inside(self, name: str) -> None:
        if not self._storage.holds(name):
            raise CorruptError(f"{self.url}/{name} is a link that leads out of the checkpoints.")

    def best_value(self, up_to: str | None) -> float | None:
        """Of ``keep_best``'s metric, the best among the checkpoints up to ``up_to``; larger is better.

        None where there is none.
        """
        if self._keep_best is None or up_to is None:
            return None
        ranked = self.ranked([name for name in self.names() if _step_of(name) <= _step_of(up_to)])
        return self._keep_best.value_of(ranked[0].metrics) if ranked else None

    def ranked(self, names: Iterable[str] | None = None) -> list[Manifest]:
        """Checkpoints of ends of epochs by ``keep_best``, the best first; unverified. ``names``: of these only."""
        if self._keep_best is None:
            return []
        found = [self._manifest_or_none(name) for name in (self.names() if names is None else names)]
        return self._keep_best.ranked(manifest for manifest in found if manifest is not None)

    def _write_file(self, name: str, write: Callable[[HashingStream], None]) -> FileDigest:
        with self._storage.create(name) as target:
            stream = HashingStream(target)
            try:
                write(stream)
            except RuntimeError:
                if stream.fault is None:
                    raise
                raise stream.fault from None
        return stream.digest()

    def _undo(self, name: str, file: str, before: Manifest | None) -> None:
        """Remove a failed save. A checkpoint of the same step, taken before the epoch ended, stays."""
        try:
            if before is None:
                self._storage.delete(f"{name}/{MANIFEST}")
                self._storage.remove(name)
            elif file not in before.files and self._manifest_or_none(name) == before:
                self._storage.delete(f"{name}/{file}")
        except (OSError, StorageError) as fault:
            _log.warning("%s/%s was not saved and could not be removed either: %s", self.url, name, fault)

    def _manifest_or_none(self, name: str) -> Manifest | None:
        try:
            return self.manifest(name)
        except (CorruptError, OSError, StorageError):
            return None

    def _storage_has_manifest(self, name: str) -> bool:
        try:
            return self._storage.size(f"{name}/{MANIFEST}") > 0
        except FileNotFoundError:
            return False


def surplus(
    names: Iterable[str], committed: Iterable[str], newest: str, keep: int, besides: Iterable[str] = ()
) -> list[str]:
    """Folders to remove, given all folders and those with a manifest. Never ``newest``, the one just committed.

    What ``besides`` names stays in any case.

    Of the committed ones up to ``newest`` the last ``keep`` stay. Later ones were found damaged when this training
    continued from an earlier one, and folders without a manifest are what a crash has left: both go.
    """
    usable = [name for name in sorted(committed, key=_step_of) if _step_of(name) <= _step_of(newest)]
    stay = {newest, *besides, *usable[-max(keep, 1) :]}
    return [name for name in names if name not in stay]


def latest_checkpoint(url: str) -> Manifest | None:
    """The newest intact checkpoint under ``url``, verified by its hashes; None when there is none. Loads nothing."""
    folder = CheckpointFolder(storage_for(url))
    return _first_intact(folder, reversed(folder.names()))


def best_checkpoint(url: str, by: BestBy) -> Manifest | None:
    """The best intact checkpoint of the end of an epoch under ``url``; None when none holds the metric.

    Only what is still there can be the best: ``keep_best`` sees to it that the best of all is.
    """
    folder = CheckpointFolder(storage_for(url), keep_best=by)
    return _first_intact(folder, [manifest.name for manifest in folder.ranked()])


def _first_intact(folder: CheckpointFolder, names: Iterable[str]) -> Manifest | None:
    for name in names:
        try:
            manifest = folder.verify(name)
        except CorruptError as fault:
            _log.warning("Checkpoint passed over: %s", fault)
            continue
        if manifest is not None:
            return manifest
    return None


def _step_of(name: str) -> int:
    return int(name.removeprefix("step-"))


def _fault_of(stream: BinaryIO, expected: FileDigest) -> str | None:
    """How the bytes in ``stream`` differ from what is expected; None where they do not."""
    try:
        if (size := stream.seek(0, os.SEEK_END)) != expected.bytes:
            return difference(FileDigest("", size), expected)  # no need to read it
        stream.seek(0)
        return difference(copy_hashed(stream, None), expected)
    except OSError as fault:
        return f"it cannot be read to its end ({fault})"


def _save_error(fault: OSError | StorageError | CorruptError, where: str) -> SaveError:
    if isinstance(fault, OSError) and fault.errno in _DISK_FULL:
        return NoSpaceError(f"No space left to save {where}. Free some, or keep fewer checkpoints.")
    return SaveError(f"{where} could not be saved: {fault}")
