"""The manifest of a checkpoint: written last, it is the commit. Format 1 is described in ``encode_manifest``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

from .digest import FileDigest
from .errors import CorruptError
from .progress import decode_metrics, encode_metrics
from .schedule import TrainingPosition
from .strict_json import LARGEST_WHOLE, Fields, UnreadableError

MANIFEST = "manifest.json"
FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """That training ended with a checkpoint, and what it had been asked for."""

    total_epochs: int | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint: where training was, and the data files that hold its state."""

    position: TrainingPosition
    created: datetime  # UTC
    metrics: Mapping[str, float] = field(default_factory=dict)  # as last reported
    host: str = ""
    attempt: int = 1
    files: Mapping[str, FileDigest] = field(default_factory=dict)  # by path relative to the checkpoint's folder
    end: TrainingEnd | None = None  # None: the program has not said that training ended here

    @property
    def finished(self) -> bool:
        """Whether the program said that nothing is left to train."""
        return self.end is not None

    @property
    def name(self) -> str:
        """The checkpoint's folder; names sort as steps do."""
        return f"step-{self.position.step:09d}"


def encode_manifest(manifest: Manifest) -> bytes:
    """JSON: format, epoch, step, batch, metrics, created, host, attempt, files {name: {sha256, bytes}},
    finished, total_epochs.

    ``epoch`` counts completed epochs; ``batch`` is 0 unless the checkpoint was taken in the middle of an epoch.
    Versions before this one wrote neither ``finished`` nor ``total_epochs``: theirs counts as not finished.
    """
    values = {
        "format": FORMAT,
        **asdict(manifest.position),
        "metrics": encode_metrics(manifest.metrics),
        "created": manifest.created.astimezone(UTC).isoformat(),
        "host": manifest.host,
        "attempt": manifest.attempt,
        "files": {name: asdict(entry) for name, entry in manifest.files.items()},
        "finished": manifest.finished,
        "total_epochs": manifest.end.total_epochs if manifest.end else None,
    }
    return json.dumps(values, indent=2, allow_nan=False).encode()


def decode_manifest(data: bytes, *, source: str) -> Manifest:
    """The manifest in ``data``, read from ``source``.

    Raises:
        CorruptError: it is torn, altered or of another format, or names a file outside the checkpoint's folder.
    """
    try:
        fields = Fields.of(data)
        found = fields.whole("format", high=LARGEST_WHOLE)
        if found == FORMAT:
            return _manifest_from(fields)
    except UnreadableError as fault:
        raise CorruptError(f"{source} is torn or altered: {fault}.") from fault
    raise CorruptError(f"{source} has format {found}; this version reads format {FORMAT}.")


def _manifest_from(fields: Fields) -> Manifest:
    step, batch = (fields.whole(name, default, high=LARGEST_WHOLE) for name, default in (("step", None), ("batch", 0)))
    return Manifest(
        position=TrainingPosition(fields.whole("epoch"), step, batch),
        created=fields.moment("created"),
        metrics=decode_metrics(fields.object("metrics")),
        host=fields.text("host"),
        attempt=fields.whole("attempt"),
        files={_inside(name): _digest_from(Fields(entry)) for name, entry in fields.object("files").items()},
        end=_end_from(fields),
    )


def _end_from(fields: Fields) -> TrainingEnd | None:
    total = fields.optional_whole("total_epochs")
    return TrainingEnd(total) if fields.flag("finished", False) else None


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise UnreadableError(f"{name!r} does not lie inside the checkpoint")
    return name


def _digest_from(entry: Fields) -> FileDigest:
    digest = FileDigest(entry.text("sha256"), entry.whole("bytes", high=LARGEST_WHOLE))
    if not _SHA256.fullmatch(digest.sha256):
        raise UnreadableError(f"{digest.sha256!r} is no SHA-256")
    return digest
