"""`spotwise gc --checkpoints`: what nobody needs of ended runs is listed, and removed when that is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ..core.errors import ExitCode, InputError, NotFoundError
from ..core.text import counted
from ..execution.checkpoint_retention import (
    Need,
    RetentionTerms,
    RetentionWorld,
    SizedCheckpoints,
    judged,
    remove,
    sized,
)
from ..execution.context import App
from ..jobfile.quantities import parse_duration
from ..retraining.registry import champions

LEFT = ExitCode.RUN_FAILED
_MB = 1e6


def terms_of(older_than: str, runs: tuple[str, ...], best: int) -> RetentionTerms:
    """The options of the command line.

    Raises:
        InputError: the age is no length of time.
    """
    try:
        return RetentionTerms(parse_duration(older_than), runs, best)
    except ValueError as error:
        raise InputError(f"--older-than: {error}") from error


def clear_checkpoints(
    app: App, terms: RetentionTerms, console: Console, *, may_remove: Callable[[str], bool]
) -> ExitCode:
    """List, ask, remove, and say what became of it. ``may_remove`` is asked once, if there is something to remove."""
    found = _found(app, terms)
    surplus = [each for each in found if each.place.need is Need.NOBODY]
    _print(found, console)
    if not surplus:
        return ExitCode.DONE
    size = sum(each.size.bytes for each in surplus)
    if not may_remove(f"Remove checkpoints in {counted(len(surplus), 'place')}, {size / _MB:.1f} MB?"):
        return LEFT
    left = [each for each in map(remove, surplus) if each is not None]
    for each in left:
        console.print(f"{each.place.url} is not removed: {each.fault}", highlight=False, style="red")
    console.print(f"removed in {counted(len(surplus) - len(left), 'place')}", highlight=False)
    return LEFT if left else ExitCode.DONE


def clear_checkpoints_json(app: App, terms: RetentionTerms, *, may_remove: bool) -> tuple[dict[str, Any], ExitCode]:
    """The same for programs, and the exit code; nobody is asked."""
    found = _found(app, terms)
    surplus = [each for each in found if each.place.need is Need.NOBODY]
    left = [each for each in map(remove, surplus) if each is not None] if may_remove else surplus
    document = {
        "checkpoints": [_json(each) for each in found],
        "removed": [each.place.url for each in surplus if may_remove and each.place not in {e.place for e in left}],
        "left": [each.place.url for each in left],
    }
    return document, LEFT if left else ExitCode.DONE


def _found(app: App, terms: RetentionTerms) -> list[SizedCheckpoints]:
    return list(sized(judged(world_of(app, terms), terms)))


def world_of(app: App, terms: RetentionTerms) -> RetentionWorld:
    """What is known of all runs.

    Raises:
        NotFoundError: a run that ``terms`` name is not there.
    """
    runs = tuple(app.store.runs())
    unknown = set(terms.runs) - {run.id for run in runs}
    if unknown:
        raise NotFoundError(f"no run {', '.join(sorted(unknown))}; `spotwise status` lists them")
    studies = {study.id: study for study in app.store.studies()}
    return RetentionWorld(runs, studies, champions(app.home), app.clock.now())


def _print(found: Sequence[SizedCheckpoints], console: Console) -> None:
    if found:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("run", overflow="fold")
        table.add_column("trial", justify="right")
        table.add_column("files", justify="right")
        table.add_column("MB", justify="right")
        table.add_column("needed by", overflow="fold")
        for each in found:
            place, size = each.place, each.size
            trial = "" if place.trial is None else str(place.trial)
            needed = each.fault or ("nobody: can go" if place.need is Need.NOBODY else place.need.value)
            table.add_row(place.run_id, trial, str(size.files), f"{size.bytes / _MB:.1f}", needed)
        console.print(table)
    going = [each.size.bytes for each in found if each.place.need is Need.NOBODY]
    staying = [each.size.bytes for each in found if each.place.need is not Need.NOBODY]
    console.print(
        f"{counted(len(going), 'place')} with {sum(going) / _MB:.1f} MB can go, "
        f"{counted(len(staying), 'place')} with {sum(staying) / _MB:.1f} MB {'stay' if len(staying) != 1 else 'stays'}",
        highlight=False,
    )


def _json(found: SizedCheckpoints) -> dict[str, Any]:
    place = found.place
    return {
        "run": place.run_id,
        "trial": place.trial,
        "url": place.url,
        "files": found.size.files,
        "bytes": found.size.bytes,
        "need": place.need.name.lower(),
        "fault": found.fault,
    }
