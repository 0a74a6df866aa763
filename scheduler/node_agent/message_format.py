"""The version of what nodes and scheduler write for each other.

Every message holds ``format``. One without it is of a version before this was written and reads as format 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotwise.checkpoints.errors import CheckpointError

FORMAT = 1


class NodeMessageError(CheckpointError):
    """A message between node and scheduler cannot be understood: a newer spotwise wrote it, or it is damaged."""


def check_format(fields: Mapping[str, Any], *, source: str) -> None:
    """Refuse a message of a newer format. ``source``: what the message is called in the error's text.

    Raises:
        NodeMessageError: the format is newer than `FORMAT`, or is no number.
    """
    found = fields.get("format", FORMAT)
    if not isinstance(found, int) or found > FORMAT:
        raise NodeMessageError(f"{source} has format {found!r}, this spotwise reads {FORMAT}: upgrade it")
