"""`spotwise validate`: every fault of every file, without a home, an engine or a store."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import JobFileError
from ..jobfile.job_notes import notes_on_file
from ..jobfile.job_spec import GivenVariables, load_job
from ..jobfile.settings import Settings, load_settings


def validated(files: Sequence[Path], given: GivenVariables, settings_file: Path | None) -> int:
    """Print what is found; the exit code."""
    settings, code = _settings(settings_file), 0
    for path in files:
        try:
            job = load_job(path, given=given)
            if settings is not None:
                settings.check_team(job.team, path)
        except JobFileError as error:
            print(error, file=sys.stderr)
            code = 2
        else:
            print(f"{path}: a valid {job.kind.value} job", *notes_on_file(job), sep="\n  note: ")
    return code


def _settings(explicit: Path | None) -> Settings | None:
    """What teams there are. Faults of settings that nobody named are another command's to say."""
    try:
        return load_settings(explicit, os.environ, Path.cwd())
    except JobFileError:
        if explicit is not None:
            raise
        return None
