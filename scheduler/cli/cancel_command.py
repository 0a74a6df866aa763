"""`spotwise cancel`. Thin, as all of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .run_ids import complete_run_id

if TYPE_CHECKING:
    from .context import Context


@click.command()
@click.argument("run_id", shell_complete=complete_run_id)
@click.option("--remove", is_flag=True, help="Remove the record of an ended run that cannot be read.")
@click.pass_obj
def cancel(context: Context, run_id: str, remove: bool) -> int:
    """End a run: it saves a checkpoint, leaves, and is billed no longer."""
    from ..core.errors import UnreadableRunError
    from ..execution.submission import start_supervisor
    from ..execution.unreadable_runs import end_unreadable, readable_run, remove_unreadable

    app = context.app()
    if remove:
        remove_unreadable(app, run_id)
        print(f"the record of {run_id} is removed; its files are left in its folder")
        return 0
    try:
        run = readable_run(app, run_id)
    except UnreadableRunError as error:
        end_unreadable(app, run_id)
        print(f"{run_id} is cancelled without reading its record ({error.why}): its attempts are told to leave")
        return 0
    if run.state.is_final:
        print(f"{run_id} has ended already: {run.state.value}")
        return 0
    app.store.request_cancel(run_id)
    start_supervisor(app, context.settings)  # in case none is alive
    print(f"{run_id} is being cancelled; `spotwise status {run_id}` shows when it has left")
    return 0
