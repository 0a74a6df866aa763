"""Whether a checkpoint may be promoted: it was committed, and holds what its manifest promises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spotwise.checkpoints import CorruptError
from spotwise.checkpoints.digest import FileDigest, difference
from spotwise.checkpoints.manifest import MANIFEST, decode_manifest
from spotwise.checkpoints.storage import LocalStorage
from spotwise.checkpoints.strict_json import LONGEST_BYTES

from ..core.errors import ExitCode, SpotwiseError


class CorruptCheckpointError(SpotwiseError):
    """A checkpoint is not what its manifest says; nothing was promoted."""

    exit_code = ExitCode.RUN_FAILED


def promised_files(checkpoint: Path) -> Mapping[str, FileDigest]:
    """The files of a committed checkpoint, by relative path, with what each must hold.

    Raises:
        CorruptCheckpointError: no manifest (so never committed), or one that cannot be used.
        OSError: the disk cannot be read.
    """
    path, storage = checkpoint / MANIFEST, LocalStorage(checkpoint)
    if not path.is_file():
        raise CorruptCheckpointError(f"{checkpoint}: no {MANIFEST}, so no committed checkpoint")
    try:
        files = decode_manifest(storage.read(MANIFEST, 0, LONGEST_BYTES + 1), source=str(path)).files
    except CorruptError as fault:
        raise CorruptCheckpointError(str(fault)) from fault
    for name in (MANIFEST, *files):
        if not storage.holds(name):
            raise CorruptCheckpointError(f"{checkpoint / name} is a link that leads out of the checkpoint")
    return files


def require_same(checkpoint: Path, name: str, promised: FileDigest, found: FileDigest) -> None:
    """Raises:
    CorruptCheckpointError: the file is not what the manifest promises.
    """
    if what := difference(found, promised):
        raise CorruptCheckpointError(f"{checkpoint / name} is corrupt: {what}")
