"""What a committed checkpoint folder promises: read from its ``manifest.json``, which is written last.

The format, not a class of the training side, is the contract; so this reads it for itself.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..core.errors import ExitCode, SpotwiseError
from .disk import Digest

MANIFEST = "manifest.json"


class CorruptCheckpointError(SpotwiseError):
    """A checkpoint is not what its manifest says; nothing was promoted."""

    exit_code = ExitCode.RUN_FAILED


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    format: int
    files: dict[str, _Entry]

    @field_validator("format")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != 1:
            raise ValueError(f"format {value} is newer than this version of spotwise")
        return value

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, _Entry]) -> dict[str, _Entry]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise ValueError(f"{name!r} does not lie inside the checkpoint")
        return files


def read_manifest(checkpoint: Path) -> dict[str, Digest]:
    """The files of a committed checkpoint, by relative path, with what each must hold.

    Raises:
        CorruptCheckpointError: no manifest (so never committed), or one that cannot be used.
        OSError: the disk cannot be read.
    """
    path = checkpoint / MANIFEST
    if not path.is_file():
        raise CorruptCheckpointError(f"{checkpoint}: no {MANIFEST}, so no committed checkpoint")
    try:
        manifest = _Manifest.model_validate(json.loads(path.read_bytes()))
    except (ValueError, ValidationError) as fault:
        raise CorruptCheckpointError(f"{path}: cannot be used: {fault}") from fault
    return {name: Digest(entry.sha256, entry.bytes) for name, entry in manifest.files.items()}


def require_same(checkpoint: Path, name: str, promised: Digest, found: Digest) -> None:
    """Raises:
    CorruptCheckpointError: the file is not what the manifest promises.
    """
    if found == promised:
        return
    what = f"{found.bytes} of {promised.bytes} bytes" if found.bytes != promised.bytes else "another SHA-256"
    raise CorruptCheckpointError(f"{checkpoint / name}: corrupt: {what} than its {MANIFEST} says")
