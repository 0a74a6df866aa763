"""Runs whose records cannot be read: they can be ended and removed all the same, and release what they hold."""

from __future__ import annotations

import logging

from ..core.errors import InputError, NotFoundError, SpotwiseError, UnreadableRunError
from ..core.run import Run
from ..engines.base import Handle
from ..store.unreadable import end_run, folder_of, remove_run
from .context import App
from .stored_job import stored_job

_log = logging.getLogger(__name__)


def readable_run(app: App, run_id: str) -> Run:
    """The run.

    Raises:
        NotFoundError: there is none.
        UnreadableRunError: its record, or that of one of its attempts, is damaged.
    """
    run = app.store.run(run_id)
    app.store.attempts(run_id)
    why = app.store.unreadable.of_runs().get(run_id)
    if why is not None:
        raise UnreadableRunError(run_id, why)
    return run


def end_unreadable(app: App, run_id: str) -> None:
    """Tell its attempts to leave, and end it in the store: money and place are free at once.

    What its attempts cost is not booked: nobody can read what they were.
    """
    store = app.store
    with store.transaction(reads=True) as connection:
        where = folder_of(connection, run_id)
    if where is None:
        raise NotFoundError(f"no run is called {run_id!r}: `spotwise status` lists all runs")
    for attempt_id in where.live_attempts:
        try:
            handle = Handle(attempt_id, where.folder, where.storage)
            app.engine(where.engine).terminate(handle, grace_s=app.settings.grace.total_seconds())
        except (SpotwiseError, OSError, ValueError) as error:
            _log.warning("attempt %s cannot be told to leave: %s; end it by hand", attempt_id, error)
    with store.transaction() as connection:
        end_run(connection, store.history, run_id, app.clock.now())


def remove_unreadable(app: App, run_id: str) -> None:
    """Remove its record, with its charges. Its files stay, and so does the history.

    Raises:
        InputError: it can be read, or it has not ended.
    """
    store = app.store
    try:
        run = readable_run(app, run_id)
        store.charges(run_id)
        if run_id not in store.unreadable.of_runs():
            stored_job(run)
            raise InputError(f"{run_id} can be read: its record, with what it cost, stays")
    except UnreadableRunError:
        _log.info("%s cannot be read", run_id)
    with store.transaction() as connection:
        is_removed = remove_run(connection, store.history, run_id)
    if not is_removed:
        raise InputError(f"{run_id} has not ended: `spotwise cancel {run_id}` first")
    store.unreadable.forget()
