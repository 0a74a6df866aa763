"""JSON that a machine wrote, and that may be torn, foreign, damaged or hostile: read strictly, or not at all.

Whoever reads a line or a file of a node, a host or a training program reads it here. What comes out is bounded in size
and depth, holds only finite numbers, and is asked for field by field with its type; anything else is an
`UnreadableError`, whatever the text was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

LONGEST_BYTES = 4 * 2**20  # of one line, or of one small file
DEEPEST = 32  # arrays and objects within each other; what spotwise writes has six
LARGEST_WHOLE = 2**53  # whole numbers up to here are the same in every language's JSON
LARGEST_SMALL = 2**31 - 1  # what a database's integer column holds
_LONGEST_DIGITS = 40
_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # so that durations can be added and taken off in every zone
_NOT_FINITE = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}  # Python's own words for what JSON has not
NOT_FINITE_TEXTS = frozenset(_NOT_FINITE.values())

Member = TypeVar("Member", bound=StrEnum)


class UnreadableError(ValueError):
    """A text is not the JSON that was expected."""


def parse_json(data: bytes | str, *, longest: int = LONGEST_BYTES) -> Any:
    """The value in a JSON text. Numbers that are not finite become the texts "nan", "inf" and "-inf".

    Args:
        longest: characters or bytes.

    Raises:
        UnreadableError: no JSON, longer, deeper or with longer numbers than anything that spotwise reads, or with text
            that no file can hold.
    """
    if len(data) > longest:
        raise UnreadableError(f"it is longer than {longest} bytes")
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value = json.loads(text, parse_constant=_NOT_FINITE.__getitem__, parse_float=_finite, parse_int=_whole)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be printed or stored
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as fault:
        raise UnreadableError(f"it is no JSON ({type(fault).__name__})") from fault
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise UnreadableError(f"it is nested deeper than {DEEPEST}")
    return value


class Fields:
    """The fields of one JSON object, each asked for with its type.

    Every method raises ``UnreadableError`` for a field that is missing and has no default, or is of another type.
    """

    def __init__(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise UnreadableError("it is no object")
        self.all: Mapping[str, Any] = value

    @classmethod
    def of(cls, data: bytes | str, *, longest: int = LONGEST_BYTES) -> Fields:
        """The fields of a JSON text that is one object."""
        return cls(parse_json(data, longest=longest))

    def __contains__(self, name: str) -> bool:
        return self.all.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        return str(self._checked(name, self._found(name, default), str, "a text"))

    def flag(self, name: str, default: bool | None = None) -> bool:
        return bool(self._checked(name, self._found(name, default), bool, "true or false"))

    def whole(self, name: str, default: int | None = None, *, low: int = 0, high: int = LARGEST_SMALL) -> int:
        found = self._found(name, default)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise UnreadableError(f"{name!r} is not a whole number from {low} to {high}")
        return found

    def number(self, name: str, default: float | None = None, *, low: float = -1e300, high: float = 1e300) -> float:
        found = self._found(name, default)
        if not isinstance(found, int | float) or isinstance(found, bool) or not low <= found <= high:
            raise UnreadableError(f"{name!r} is not a finite number from {low:g} to {high:g}")
        return float(found)

    def moment(self, name: str) -> datetime:
        """ISO 8601, in UTC where it names no zone, within the years in which anything can have happened."""
        return moment_of(self.text(name), name)

    def member(self, name: str, kind: type[Member]) -> Member:
        try:
            return kind(self.text(name))
        except ValueError as fault:
            raise UnreadableError(f"{name!r} is none of {', '.join(kind)}") from fault

    def object(self, name: str) -> dict[str, Any]:
        """An object; {} where it is missing or null."""
        return dict(self._checked(name, self._found(name, {}), dict, "an object"))

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self else None

    def optional_whole(self, name: str, *, low: int = 0, high: int = LARGEST_SMALL) -> int | None:
        return self.whole(name, low=low, high=high) if name in self else None

    def optional_number(self, name: str, *, low: float = -1e300, high: float = 1e300) -> float | None:
        return self.number(name, low=low, high=high) if name in self else None

    def optional_moment(self, name: str) -> datetime | None:
        return self.moment(name) if name in self else None

    def _found(self, name: str, default: Any) -> Any:
        found = self.all.get(name)
        found = default if found is None else found
        if found is None:
            raise UnreadableError(f"{name!r} is missing")
        return found

    @staticmethod
    def _checked(name: str, found: Any, kind: type[Any], called: str) -> Any:
        if not isinstance(found, kind):
            raise UnreadableError(f"{name!r} is not {called}")
        return found


def moment_of(text: str, name: str) -> datetime:
    """The moment in an ISO 8601 text, UTC. ``name``: what it is called in the error. Raises ``UnreadableError``."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as fault:
        raise UnreadableError(f"{name!r} is no time") from fault
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UnreadableError(f"{name!r} is not within the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return found


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else str(value)


def _whole(text: str) -> int:
    if len(text) > _LONGEST_DIGITS:
        raise UnreadableError("a number has too many digits")
    return int(text)


def _depth(value: Any) -> int:
    """How deep arrays and objects lie within each other, without recursion."""
    deepest, level = 0, [value]
    while level:
        level = [child for each in level if isinstance(each, dict | list) for child in _children(each)]
        deepest += 1
    return deepest


def _children(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
