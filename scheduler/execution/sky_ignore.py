"""`.skyignore`: which files do not travel, by the patterns that SkyPilot reads there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

NAME = ".skyignore"


@dataclass(frozen=True, slots=True)
class SkyIgnore:
    """The patterns of one file. One that begins with `/` counts from the folder, any other from everywhere in it."""

    patterns: tuple[tuple[str, ...], ...]  # each cut at its slashes
    for_folders: tuple[bool, ...]  # of each, whether it ends with a slash

    @classmethod
    def parse(cls, text: str) -> SkyIgnore:
        lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
        whole = [line if line.startswith("/") else f"**/{line}" for line in lines]
        parts = tuple(tuple(part for part in line.split("/") if part not in ("", ".")) for line in whole)
        return cls(parts, tuple(line.endswith("/") for line in lines))

    def names(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path, relative to the folder, is left out."""
        parts = path.split("/")
        return any(
            _matches(pattern, parts)
            for pattern, for_folders in zip(self.patterns, self.for_folders, strict=True)
            if pattern and (is_folder or not for_folders)
        )


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        shown = next((i for i, part in enumerate(parts) if part.startswith(".")), len(parts))
        return any(_matches(pattern[1:], parts[i:]) for i in range(shown + 1))  # `**` enters no hidden folder
    return bool(parts) and _matches_one(pattern[0], parts[0]) and _matches(pattern[1:], parts[1:])


def _matches_one(pattern: str, name: str) -> bool:
    """As the shell does it: a wildcard does not stand for the dot of a hidden name."""
    hidden_by_wildcard = name.startswith(".") and not pattern.startswith(".")
    return not hidden_by_wildcard and fnmatchcase(name, pattern)
