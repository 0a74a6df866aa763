"""Texts as they may be stored and shown: without the values of secrets, however a program came to print them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

MASK = "***"
SHORTEST_SECRET = 4  # characters; shorter values stand in any text


def masked(text: str, values: Iterable[str]) -> str:
    """The text with ``***`` for each of these values."""
    for part in secret_parts(values):
        text = text.replace(part, MASK)
    return text


def secret_parts(values: Iterable[str]) -> list[str]:
    """What gives these values away, the longest first.

    A value of several lines, such as a key, is printed line by line, or as one line in the writing of JSON or Python.
    """
    parts = {part for value in values for part in _parts(value) if len(part) >= SHORTEST_SECRET}
    return sorted(parts, key=lambda part: (-len(part), part))


def _parts(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield from (line.strip() for line in value.splitlines())
