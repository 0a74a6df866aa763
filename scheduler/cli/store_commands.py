"""The commands about the store itself. Thin, as all of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from .console import console, print_json
from .run_ids import complete_run_id

if TYPE_CHECKING:
    from .context import Context


@click.command()
@click.argument("run_id", required=False, shell_complete=complete_run_id)
@click.option(
    "--since", type=click.DateTime(), help="Only from then on, UTC, such as 2026-11-30 or 2026-11-30T08:00:00."
)
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="At most the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def history(context: Context, run_id: str | None, since: datetime | None, limit: int, as_json: bool) -> int:
    """Who changed what, when and why: each change of money or state, of one run or of all."""
    from .history_view import changes_json, print_changes

    store = context.app().store
    if run_id is not None:
        store.run(run_id)  # says so where there is none
    found = store.changes(run_id, since and since.replace(tzinfo=UTC), limit)
    if as_json:
        print_json({"changes": changes_json(found)})
    else:
        print_changes(found, console())
    return 0


@click.command()
@click.pass_obj
def migrate(context: Context) -> int:
    """Bring the store to this version's schema; every other command does so too when it opens the store."""
    from .history_view import migrated_text

    store = context.app().store
    print(migrated_text(store.schema))
    return 0
