"""`spotwise gc`: clusters that were left over, as people read them and as JSON, and ending them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ..core.errors import ExitCode
from ..core.text import counted
from ..diagnostics.leftovers import ClusterOwnership, EndedClusters, FoundCluster, end, look, to_end
from ..engines.skypilot.public import PublicSky
from ..execution.context import App

LEFT = ExitCode.RUN_FAILED


def clear(app: App, named: Sequence[str], console: Console, *, may_end: Callable[[str], bool]) -> ExitCode:
    """List, ask, end, and say what became of it. ``may_end`` is asked once, if there is something to end."""
    sky = PublicSky()
    found = look(sky, app.store, app.clock.now())
    wanted = to_end(found, named)
    _print_found(found, console)
    if not wanted:
        return ExitCode.DONE
    clusters = counted(len(wanted), "cluster")
    if not may_end(f"End {clusters}?"):
        return LEFT
    console.print(f"ending {clusters}; this can take minutes", highlight=False)
    ended = end(sky, [each.cluster.name for each in wanted], app.clock)
    _print_ended(ended, console)
    return LEFT if ended.left else ExitCode.DONE


def clear_json(app: App, named: Sequence[str], *, may_end: bool) -> tuple[dict[str, Any], ExitCode]:
    """The same for programs, and the exit code; nobody is asked."""
    sky = PublicSky()
    found = look(sky, app.store, app.clock.now())
    wanted = [each.cluster.name for each in to_end(found, named)]
    ended = end(sky, wanted, app.clock) if wanted and may_end else EndedClusters()
    is_left = bool(ended.left) or (bool(wanted) and not may_end)
    document = {
        "clusters": [_found_json(each) for each in found],
        "ended": list(ended.gone),
        "left": dict(ended.left) if may_end else dict.fromkeys(wanted, "not ended without --yes"),
    }
    return document, LEFT if is_left else ExitCode.DONE


def confirmed(question: str) -> bool:
    """Whether a person says yes. The end of input, as in cron, is a no; Ctrl-C still ends the command."""
    try:
        return click.confirm(question)
    except click.Abort as left:
        if not isinstance(left.__context__, EOFError):
            raise
        click.echo("\nnobody answers, so nothing is ended; to end it without being asked: --yes")
        return False


def _print_found(found: Sequence[FoundCluster], console: Console) -> None:
    unused = [each for each in found if each.standing is not ClusterOwnership.IN_USE]
    if unused:
        console.print(_table(unused))
    used = len(found) - len(unused)
    left = [each for each in unused if each.standing is ClusterOwnership.LEFT_OVER]
    console.print(f"{used} in use, {len(left)} left over", highlight=False)
    if any(each.standing is ClusterOwnership.UNKNOWN for each in unused):
        hint = "not of this installation: perhaps a colleague's, so it is ended only by name: spotwise gc CLUSTER"
        console.print(hint, highlight=False, style="yellow")


def _table(found: Sequence[FoundCluster]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("cluster", "state", "since (UTC)", "attempt", "run"):
        table.add_column(name, no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for each in found:
        attempt, cluster = each.attempt, each.cluster
        table.add_row(
            cluster.name,
            cluster.state.value,
            f"{cluster.launched_at:%Y-%m-%d %H:%M}",
            "" if attempt is None else attempt.id,
            "" if attempt is None else attempt.run_id,
            _standing(each),
        )
    return table


def _standing(found: FoundCluster) -> str:
    if found.attempt is None or found.ended_at is None:
        return found.standing.value
    return f"{found.standing.value}: its attempt ended {found.ended_at:%Y-%m-%d %H:%M}, {found.attempt.state.value}"


def _found_json(found: FoundCluster) -> dict[str, Any]:
    attempt = found.attempt
    return {
        "cluster": found.cluster.name,
        "state": found.cluster.state.value,
        "since": found.cluster.launched_at.isoformat(),
        "standing": found.standing.value,
        "attempt": None if attempt is None else attempt.id,
        "attempt_state": None if attempt is None else attempt.state.value,
        "attempt_ended": None if found.ended_at is None else found.ended_at.isoformat(),
        "run": None if attempt is None else attempt.run_id,
    }


def _print_ended(ended: EndedClusters, console: Console) -> None:
    for name in ended.gone:
        console.print(f"{name} is gone", highlight=False)
    for name, why in ended.left.items():
        console.print(f"{name} is still there: {why}; try again, or: sky down {name}", highlight=False, style="red")
