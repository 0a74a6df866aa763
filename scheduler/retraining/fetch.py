"""The newest or best checkpoint of a run as a local folder, wherever the run has put it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spotwise.checkpoints import BestBy, CheckpointFolder, Manifest, best_checkpoint, latest_checkpoint, storage_for
from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.manifest import MANIFEST, encode_manifest

from ..jobfile.best_epoch import JudgedEpoch
from ..jobfile.job_spec import JobSpec


@dataclass(frozen=True, slots=True)
class FetchedCheckpoint:
    """A checkpoint on this machine, and what training said of it."""

    folder: Path
    epoch: int  # completed epochs
    metrics: Mapping[str, float]  # as last reported before it was saved


def fetch_checkpoint(url: str, scratch: Path, best_by: BestBy | None = None) -> FetchedCheckpoint | None:
    """The newest intact checkpoint at ``url``, or the best one; copied under ``scratch`` unless it is on this machine.

    None where there is none, or none that holds the metric.

    Raises:
        StorageError, CorruptError: it cannot be read.
    """
    manifest = latest_checkpoint(url) if best_by is None else best_checkpoint(url, best_by)
    if manifest is None:
        return None
    folder = _copied(url, manifest, scratch) if "://" in url else Path(url) / manifest.name
    return FetchedCheckpoint(folder, manifest.position.epoch, dict(manifest.metrics))


def judged_checkpoint(job: JobSpec, url: str, scratch: Path) -> FetchedCheckpoint | None:
    """What the gate of a retraining job judges and promotes: the newest checkpoint, or the best one by its metric.

    Raises as ``fetch_checkpoint`` does.
    """
    by_best = job.retrain is not None and job.retrain.gate.by is JudgedEpoch.BEST
    return fetch_checkpoint(url, scratch, job.best_kept if by_best else None)


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
