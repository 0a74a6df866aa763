"""`spotwise gc` on the command line."""

from __future__ import annotations

import click

from .console import console, print_json
from .context import Context


@click.command()
@click.argument("clusters", nargs=-1)
@click.option("--checkpoints", is_flag=True, help="Checkpoints of ended runs instead, in folders and at URLs.")
@click.option("--code", is_flag=True, help="Code of ended runs instead: snapshots, and their copies below the runs.")
@click.option("--older-than", default="30d", show_default=True, help="Of runs that ended so long ago.")
@click.option("--run", "runs", multiple=True, help="Of this run alone; may be repeated.")
@click.option(
    "--best",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Best trials that stay (--checkpoints).",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; ends nothing without --yes.")
@click.pass_obj
def gc(
    context: Context,
    *,
    clusters: tuple[str, ...],
    checkpoints: bool,
    code: bool,
    older_than: str,
    runs: tuple[str, ...],
    best: int,
    yes: bool,
    as_json: bool,
) -> int:
    """End SkyPilot clusters that no attempt needs any more; with CLUSTERS, those.

    With --checkpoints or --code: remove those of ended runs that nobody needs. What and how much is listed first;
    what programs wrote beside their code stays.

    Exit codes: 0 nothing is left that should be ended, 4 something is.
    """
    from .gc import clear, clear_json, confirmed

    def may(question: str) -> bool:
        return yes or confirmed(question)

    if code:
        from .gc_checkpoints import terms_of
        from .gc_code import clear_code, clear_code_json

        terms = terms_of(older_than, runs, best)
        if not as_json:
            return clear_code(context.app(), terms, console(), may_remove=may)
        document, exit_code = clear_code_json(context.app(), terms, may_remove=yes)
    elif checkpoints:
        from .gc_checkpoints import clear_checkpoints, clear_checkpoints_json, terms_of

        terms = terms_of(older_than, runs, best)
        if not as_json:
            return clear_checkpoints(context.app(), terms, console(), may_remove=may)
        document, exit_code = clear_checkpoints_json(context.app(), terms, may_remove=yes)
    elif as_json:
        document, exit_code = clear_json(context.app(), clusters, may_end=yes)
    else:
        return clear(context.app(), clusters, console(), may_end=may)
    print_json(document)
    return exit_code
