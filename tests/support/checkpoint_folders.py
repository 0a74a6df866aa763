"""Committed checkpoint folders as the training side writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FILES = {"state.pt": b"weights " * 1000, "extra/vocabulary.txt": b"a b c"}


def checkpoint_folder(folder: Path, content: dict[str, bytes] | None = None, /, **manifest: object) -> Path:
    """A committed checkpoint; ``manifest`` overrides what its manifest says."""
    files = FILES if content is None else content
    for name, written in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(written)
    described = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in files.items()}
    document = {
        "format": 1,
        "epoch": 3,
        "step": 120,
        "metrics": {"val_accuracy": 0.9},
        "created": "2026-11-23T02:00:00+00:00",
        "host": "node-1",
        "attempt": 1,
        "files": described,
    } | manifest
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder
