"""`spotwise notify`: try the channels of a file, and see what is on its way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .context import FILE

if TYPE_CHECKING:
    from .context import Context


@click.command()
@click.option("--test", "job", type=FILE, help="Send a test message through each channel of this job file.")
@click.pass_obj
def notify(context: Context, job: Path | None) -> int:
    """Show messages that are still to be delivered, and deliver what is due; with --test, try the channels.

    Exit codes: 0 nothing is left, 4 something was not delivered.
    """
    from ..core.errors import ExitCode
    from ..notifications.notifier import Notifier
    from ..store.outbox import Outbox

    app = context.app()
    if job is not None:
        return _try_out(context, job)
    Notifier(app.store, app.settings, app.clock).round()
    waiting = Outbox(app.store).waiting()
    for entry in waiting:
        tried = f"{entry.tries} times in vain: {entry.last_error}" if entry.tries else "not yet"
        print(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.id}  tried {tried}")
    if not waiting:
        print("all messages are delivered")
    return ExitCode.RUN_FAILED if waiting else ExitCode.DONE


def _try_out(context: Context, job: Path) -> int:
    from ..core.errors import ExitCode, InputError
    from ..jobfile.job_spec import load_job
    from ..notifications.delivery import DeliveryError, deliver

    app, found = context.app(), load_job(job)
    channels = (*app.settings.notify, *found.notify)
    if not channels:
        raise InputError(f"{job}: no notify section, and none in the settings")
    text = f"a test message of {found.name}: nothing has happened"
    at = app.clock.now().isoformat()
    message = {
        "format": 1,
        "id": f"test:{at}",
        "event": "test",
        "run": found.name,
        "job": found.name,
        "at": at,
        "text": text,
    }
    code = ExitCode.DONE
    for channel in channels:
        try:
            deliver(channel, message, os.environ)
            print(f"{channel.type}: delivered")
        except DeliveryError as error:
            print(f"{error}")
            code = ExitCode.RUN_FAILED
    return code
