"""What reading a source gives, and what it may be told beside its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.study import StudyRecord


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a person says of a source: which study, and what the source itself does not tell."""

    study: str | None = None  # only this one of the source's studies
    metric: str | None = None
    goal: str | None = None
    space: Mapping[str, Mapping[str, Any]] | None = None
    space_from: str = ""  # the job file that the space was taken from


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """The studies of one source, and what a person should know of how they were read."""

    studies: tuple[StudyRecord, ...]
    notes: tuple[str, ...] = ()
