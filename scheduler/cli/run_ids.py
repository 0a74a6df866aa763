"""Runs as arguments of commands: completed by the shell, and the newest where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..store import Store

_SUGGESTED = 50  # runs, the newest


def complete_run_id(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Ids of the newest runs that begin with what was typed; none where the store cannot be read."""
    from ..core.errors import SpotwiseError
    from .context import Context

    settings = context.find_root().params.get("settings")
    try:
        with context.scope(cleanup=False):  # nothing is said at its end
            runs = Context(settings).app().store.runs(limit=_SUGGESTED)
    except (SpotwiseError, OSError):  # a shell that completes shows no faults
        return []
    return [run.id for run in reversed(runs) if run.id.startswith(begun)]


def newest_run_id(store: Store) -> str:
    """The run that was submitted last.

    Raises:
        NotFoundError: there is no run yet.
    """
    from ..core.errors import NotFoundError

    newest = store.runs(limit=1)
    if not newest:
        raise NotFoundError("no run yet: submit one with `spotwise submit JOB.yaml`")
    return newest[-1].id
