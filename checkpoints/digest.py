"""What a file holds, as SHA-256 and size: taken while it is written or copied, and compared with what was promised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import BinaryIO

CHUNK_BYTES = 1 << 20  # read at once, so that a file's length costs no memory


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file holds; in a manifest, what it must hold."""

    sha256: str  # hexadecimal
    bytes: int


@dataclass
class HashingStream:
    """What data files are written through: hashes on the way and remembers why a write failed.

    ``torch.save`` hides the operating system's error behind one of its own; the memory keeps "disk full" tellable.
    """

    target: BinaryIO | None  # None: nothing is written
    written: int = 0
    fault: OSError | None = None
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, data: bytes | memoryview) -> int:
        try:
            if self.target is not None:
                self.target.write(data)
        except OSError as fault:
            self.fault = fault
            raise
        self._hash.update(data)
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        if self.target is not None:
            self.target.flush()

    def digest(self) -> FileDigest:
        """Of what was written so far."""
        return FileDigest(sha256=self._hash.hexdigest(), bytes=self.written)


def copy_hashed(source: BinaryIO, target: BinaryIO | None) -> FileDigest:
    """Copy the rest of ``source`` and tell what was copied, read once: what is hashed is what is written.

    With ``target`` None it is only hashed. Raises ``OSError`` of either side.
    """
    stream = HashingStream(target)
    while chunk := source.read(CHUNK_BYTES):
        stream.write(chunk)
    return stream.digest()


def difference(found: FileDigest, promised: FileDigest) -> str | None:
    """How a file differs from what its manifest says, for people; None where it does not."""
    if found.bytes != promised.bytes:
        return f"it has {found.bytes} bytes, the manifest says {promised.bytes}"
    if found.sha256 != promised.sha256:
        return f"its SHA-256 is {found.sha256[:12]}..., the manifest says {promised.sha256[:12]}..."
    return None
