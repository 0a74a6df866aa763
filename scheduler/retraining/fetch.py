"""The newest checkpoint of a run as a local folder, wherever the run has put it."""

from __future__ import annotations

import shutil
from pathlib import Path

from spotwise.checkpoints import CheckpointFolder, latest_checkpoint, storage_for
from spotwise.checkpoints.manifest import encode_manifest


def newest_checkpoint(url: str, scratch: Path) -> Path | None:
    """The newest intact checkpoint at ``url``; copied under ``scratch`` unless it lies on this machine already.

    Raises:
        StorageError, CorruptError: it cannot be read.
    """
    manifest = latest_checkpoint(url)
    if manifest is None:
        return None
    if "://" not in url:
        return Path(url) / manifest.name
    folder = CheckpointFolder(storage_for(url))
    to = scratch / manifest.name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in manifest.files:
        with folder.open(manifest, name) as source, (to / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
    (to / "manifest.json").write_bytes(encode_manifest(manifest))
    return to
