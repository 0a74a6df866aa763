"""`spotwise gc --code`: code of ended runs that nobody needs is listed, and removed when that is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ..core.errors import ExitCode
from ..core.text import counted
from ..execution.checkpoint_retention import RetentionTerms, needed_runs
from ..execution.code_retention import UnusedCode, remove_code, unused_code
from ..execution.context import App
from .gc_checkpoints import world_of

LEFT = ExitCode.RUN_FAILED
_MB = 1e6


def clear_code(app: App, terms: RetentionTerms, console: Console, *, may_remove: Callable[[str], bool]) -> ExitCode:
    """List, ask, remove, and say what is still there. ``may_remove`` is asked once, if there is something to remove."""
    found = _found(app, terms)
    size = sum(each.bytes for each in found)
    if found:
        console.print(_table(found))
    console.print(f"{counted(len(found), 'folder')} with {size / _MB:.1f} MB can go", highlight=False)
    if not found:
        return ExitCode.DONE
    if not may_remove(f"Remove the code in {counted(len(found), 'folder')}, {size / _MB:.1f} MB?"):
        return LEFT
    left = _removed(found)
    for path, fault in left.items():
        console.print(f"{path} is not removed: {fault}", highlight=False, style="red")
    return LEFT if left else ExitCode.DONE


def clear_code_json(app: App, terms: RetentionTerms, *, may_remove: bool) -> tuple[dict[str, Any], ExitCode]:
    """The same for programs, and the exit code; nobody is asked."""
    found = _found(app, terms)
    left = _removed(found) if may_remove else dict.fromkeys((str(each.path) for each in found), "not removed")
    rows = [
        {"path": str(each.path), "run": each.run_id or None, "files": len(each.files), "bytes": each.bytes}
        for each in found
    ]
    return {"code": rows, "left": left}, LEFT if left else ExitCode.DONE


def _found(app: App, terms: RetentionTerms) -> list[UnusedCode]:
    world = world_of(app, terms)
    return unused_code(app.home, world.runs, needed_runs(world, terms))


def _removed(found: list[UnusedCode]) -> dict[str, str]:
    """What could not be removed, and why."""
    left = {}
    for each in found:
        try:
            remove_code(each)
        except OSError as error:
            left[str(each.path)] = str(error)
    return left


def _table(found: list[UnusedCode]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("what", overflow="fold")
    table.add_column("files", justify="right")
    table.add_column("MB", justify="right")
    for each in found:
        what = "unchanged code where it worked" if each.run_id else f"snapshot {each.path.name[:12]}"
        table.add_row(each.run_id, what, str(len(each.files)), f"{each.bytes / _MB:.1f}")
    return table
