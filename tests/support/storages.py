"""The places that checkpoints are kept in: folders and memory always, S3 where SPOTWISE_TEST_S3 names a server."""

from __future__ import annotations

import uuid
from pathlib import Path

from s3_server import BUCKET, SERVER

KINDS = ["local", "file URL", "memory", *(["s3"] if SERVER else [])]


def empty_place(kind: str, folder: Path) -> str:
    """The URL of a place where nothing is yet."""
    urls = {
        "local": str(folder / "a b" / "checkpoints"),
        "file URL": (folder / "a b").as_uri(),
        "memory": f"memory://{uuid.uuid4()}/checkpoints",
        "s3": f"s3://{BUCKET}/{uuid.uuid4()}/a b/checkpoints",
    }
    return urls[kind]
