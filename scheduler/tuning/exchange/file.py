"""The export: one JSON file, written whole, checked field by field when it is read. docs/studies.md describes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spotwise.checkpoints.atomic_file import write_atomic

from ...core.errors import InputError
from ...core.json_values import finite_json
from ...core.study import StudyRecord
from ...core.study_json import study_from_json, study_to_json
from ...jobfile.validation_errors import faults_of
from .found import FoundStudies, ImportOptions
from .schema import StudyFile, study_file_schema

FORMAT = "spotwise studies"
VERSION = 1
SHOWN_FAULTS = 10  # of a file that may hold thousands of trials


def write_export(path: Path, studies: Sequence[StudyRecord]) -> None:
    """Write the file, or leave what was there.

    Raises:
        InputError: it cannot be written there.
    """
    document = {"format": FORMAT, "version": VERSION, "studies": [document_of(study) for study in studies]}
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    try:
        write_atomic(path, text)
    except OSError as error:
        raise InputError(
            f"{path} is not written: {error.strerror or error}; name a file in a folder that can be written"
        ) from error


def document_of(study: StudyRecord) -> dict[str, Any]:
    """One study as the file has it. JSON has neither NaN nor infinity: a metric that was one is null."""
    found: dict[str, Any] = finite_json(study_to_json(study))
    return found


def is_export(text: str) -> bool:
    """Whether a text looks like an export, whole or torn."""
    return text.lstrip()[:1] == "{" and f'"{FORMAT}"' in text[:200]


def read_export(text: str, source: str, options: ImportOptions) -> FoundStudies:
    """The studies of an export's text.

    Raises:
        InputError: it is damaged, or of a newer spotwise; or something is told that the file says itself.
    """
    for option, value in (("--space-from", options.space), ("--metric", options.metric), ("--goal", options.goal)):
        if value is not None:
            raise InputError(f"{source} is an export and says this itself: leave out {option}")
    document = _document(text, source)
    read = (study_from_json(study) for study in document["studies"])
    studies = [replace(study, created_at=study.created_at.astimezone(UTC)) for study in read]
    if options.study is not None:
        known = ", ".join(study.id for study in studies) or "none"
        studies = [study for study in studies if study.id == options.study]
        if not studies:
            raise InputError(f"{source} has no study {options.study!r}; it has: {known}")
    return FoundStudies(tuple(studies))


def _document(text: str, source: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise InputError(f"{source} is damaged: {error}; export the studies again") from error
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"{source} was written by a newer spotwise (version {version}, this one reads {VERSION}): upgrade"
        )
    try:
        StudyFile.model_validate(document)
    except ValidationError as error:
        faults = list(faults_of(error, study_file_schema(), "docs/studies.md"))
        lines = [fault.text(source, {}) for fault in dict.fromkeys(faults)]
        more = [f"{source}: and {len(lines) - SHOWN_FAULTS} more faults"] if len(lines) > SHOWN_FAULTS else []
        raise InputError("\n".join([*lines[:SHOWN_FAULTS], *more])) from error
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"found {name}, which is no number of JSON")
