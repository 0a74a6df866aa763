"""The newest checkpoint of a run as a local folder, wherever the run has put it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spotwise.checkpoints import CheckpointFolder, Manifest, latest_checkpoint, storage_for
from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.manifest import MANIFEST, encode_manifest


@dataclass(frozen=True, slots=True)
class FetchedCheckpoint:
    """A checkpoint on this machine, and what training said of it."""

    folder: Path
    epoch: int  # completed epochs
    metrics: Mapping[str, float]  # as last reported before it was saved


def newest_checkpoint(url: str, scratch: Path) -> FetchedCheckpoint | None:
    """The newest intact checkpoint at ``url``; copied under ``scratch`` unless it lies on this machine already.

    Raises:
        StorageError, CorruptError: it cannot be read.
    """
    manifest = latest_checkpoint(url)
    if manifest is None:
        return None
    folder = _copied(url, manifest, scratch) if "://" in url else Path(url) / manifest.name
    return FetchedCheckpoint(folder, manifest.position.epoch, dict(manifest.metrics))


def _copied(url: str, manifest: Manifest, scratch: Path) -> Path:
    folder = CheckpointFolder(storage_for(url))
    to = scratch / manifest.name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in manifest.files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        with folder.open(manifest, name) as source, (to / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
    write_atomic(to / MANIFEST, encode_manifest(manifest), durable=False)
    return to
