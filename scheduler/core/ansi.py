"""What programs print, as text that can be stored and shown anywhere."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")  # ECMA-48


def plain(text: str) -> str:
    """Without the escape sequences by which terminals are told of colours and the like."""
    return _ESCAPES.sub("", text)
