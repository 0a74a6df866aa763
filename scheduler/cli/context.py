"""What every command gets: the options before it, and the type of a FILE argument."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..execution.context import App

FILE = click.Path(path_type=Path)


class Context:
    """What the options before the command say."""

    def __init__(self, settings: Path | None) -> None:
        self.settings = settings

    def app(self, engine: str | None = None) -> App:
        """The installation; ``engine`` takes the place of the settings' own."""
        from ..core.errors import InputError
        from ..execution.context import App

        try:
            app = App.open(self.settings, engine, command_name())
        except OSError as error:
            raise InputError(f"SPOTWISE_HOME cannot be used: {error}; name a folder that can be written") from error
        click.get_current_context().call_on_close(lambda: _tell_what_was_passed_over(app))
        return app


def _tell_what_was_passed_over(app: App) -> None:
    """Whatever the command was about: what it could not read is named."""
    from ..core.errors import UnreadableRunError

    for run_id, why in sorted(app.store.unreadable.of_runs().items()):
        click.echo(f"left out: {UnreadableRunError(run_id, why)}", err=True)
    for row in app.store.unreadable:
        if not row.run_id:
            click.echo(f"left out: {row.table} {row.id} cannot be read ({row.why})", err=True)


def command_name() -> str:
    """The command that runs, without the program's own name: "submit", "studies forget"; "" outside of one."""
    names: list[str] = []
    context = click.get_current_context(silent=True)
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names)
