"""The job file of a run, as the store keeps it."""

from __future__ import annotations

from ..core.errors import InputError, UnreadableRunError
from ..core.run import Run
from ..jobfile.job_spec import JobSpec, parse_job

_NOTHING = "name: unreadable\nrun: 'false'\n"


def stored_job(run: Run) -> JobSpec:
    """The job of a run.

    Raises:
        UnreadableRunError: its text cannot be read: an older version stored it, or it is damaged.
    """
    try:
        return parse_job(run.job_yaml, source=run.id)
    except (InputError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableRunError(run.id, f"its job file: {why}") from error


def job_that_only_ends() -> JobSpec:
    """Stands in the place of a job that cannot be read, so that its attempts can be followed to their end."""
    return parse_job(_NOTHING, source="unreadable")


def check_storable(text: str, *, source: str) -> None:
    """Whether a job file can be read back as it would be stored, without its secrets' values.

    Raises:
        InputError: it cannot.
    """
    try:
        parse_job(text, source=source)
    except InputError as error:
        raise InputError(
            f"{source} cannot be stored: without the values below `secrets` it is no valid job file ({error}). "
            f"An anchor (&name) below `secrets` that is used elsewhere (*name) does that: write the value out there"
        ) from error
