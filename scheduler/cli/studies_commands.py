"""The commands of `spotwise studies`. Thin, as all of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.text import counted
from .console import console, print_json
from .context import FILE

if TYPE_CHECKING:
    from .context import Context


@click.group()
def studies() -> None:
    """What past sweeps have found: what later sweeps learn from."""


@studies.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(context: Context, as_json: bool) -> int:
    """List all studies, newest first."""
    from .studies_view import print_list, studies_json

    found = context.app().store.studies()[::-1]
    if as_json:
        print_json(studies_json(found))
    else:
        print_list(found, console())
    return 0


@studies.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, study: str, as_json: bool) -> int:
    """Show one study: its space, its trials, what they cost, and what it learned from."""
    from ..store.studies import study_of
    from .studies_view import print_study, study_json

    found = study_of(context.app().store, study)
    if as_json:
        print_json(study_json(found))
    else:
        print_study(found, console())
    return 0


@studies.command()
@click.argument("ids", metavar="STUDY...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All studies.")
@click.option("--to", type=FILE, required=True, help="File to write; one that is there is replaced.")
@click.pass_obj
def export(context: Context, ids: tuple[str, ...], everything: bool, to: Path) -> int:
    """Write studies to a JSON file, for another installation to import."""
    from .studies_actions import export_studies

    written = export_studies(context.app().store, ids, to, everything=everything)
    print(f"wrote {to}: {counted(len(written), 'study', 'studies')}; next: spotwise studies import {to}")
    return 0


@studies.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--study", help="Only this one of the studies in SOURCE.")
@click.option("--metric", help="The metric's name, where SOURCE does not say it.")
@click.option("--goal", type=click.Choice(["maximize", "minimize"]), help="The same for the goal.")
@click.option("--space-from", type=FILE, help="Job file with the space of a Ray Tune folder; default: from its trials.")
@click.option("--as", "as_id", metavar="ID", help="Import the one study under this id.")
@click.pass_obj
def import_(context: Context, /, sources: tuple[str, ...], as_id: str | None, **options: Any) -> int:
    """Add the studies of each SOURCE, all or none, for later sweeps to learn from.

    SOURCE is a file that `spotwise studies export` wrote, an Optuna storage (sqlite:///FILE, or a journal file), or
    a folder of Ray Tune with a folder for each trial.
    """
    from .studies_actions import import_studies, read_studies, told_by
    from .studies_view import print_imported

    found = read_studies(sources, told_by(**options), as_id)  # before the home is made: a fault leaves nothing behind
    print_imported(import_studies(context.app().store, found.studies), found.notes)
    return 0


@studies.command()
@click.argument("ids", metavar="STUDY...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(context: Context, ids: tuple[str, ...], yes: bool) -> int:
    """Remove the records of studies; their runs and the ledger stay."""
    from .studies_actions import forget as remove

    gone = remove(context.app().store, ids, may_forget=lambda question: yes or _confirmed(question))
    print("\n".join(f"{study_id} is forgotten" for study_id in gone) or "nothing is forgotten")
    return 0


def _confirmed(question: str) -> bool:
    """Whether a person says yes; scripts must say it beforehand."""
    from ..core.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("nothing is forgotten: nobody can be asked here; --yes forgets without asking")
    return click.confirm(question)
