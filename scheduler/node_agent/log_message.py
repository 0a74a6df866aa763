"""What a node without the run's storage can still tell: one line of JSON in its log, which the scheduler reads.

A node that does not see the storage cannot write an event there. Its log reaches the scheduler by way of the platform,
which may put a prefix before each line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spotwise.checkpoints.strict_json import Fields, UnreadableError

from .message_format import FORMAT

MARK = "[spotwise:message] "  # no program prints it by chance
STORAGE_NOT_SEEN = "storage_not_seen"


@dataclass(frozen=True, slots=True)
class StorageNotSeen:
    """A node finds no request for its attempt where the run's files should be. ``node_setup.sh`` writes it too."""

    node: str  # its host name
    file: str  # what it looked for

    def to_line(self) -> str:
        fields = {"format": FORMAT, "kind": STORAGE_NOT_SEEN, "node": self.node, "file": self.file}
        return MARK + json.dumps(fields)

    @classmethod
    def find(cls, lines: Iterable[str]) -> StorageNotSeen | None:
        """The first such message in a log; None without one, and for one of a newer format."""
        return next((found for line in lines if (found := cls._from_line(line)) is not None), None)

    @classmethod
    def _from_line(cls, line: str) -> StorageNotSeen | None:
        fields = _fields(line.partition(MARK)[2])
        if fields.get("kind") != STORAGE_NOT_SEEN or fields.get("format") != FORMAT:
            return None
        return cls(str(fields.get("node", "")), str(fields.get("file", "")))


def _fields(text: str) -> dict[str, Any]:
    try:
        return dict(Fields.of(text).all)
    except UnreadableError:
        return {}
