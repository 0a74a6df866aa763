"""What `spotwise doctor` found, as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.errors import ExitCode
from ..core.text import counted
from ..diagnostics.check import Check, CheckStatus

_STYLES = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.FAILED: "bold red"}


def print_checks(checks: Iterable[Check], console: Console) -> ExitCode:
    """The table, a last line that sums it up, and the exit code."""
    with console.status("looking"):  # SkyPilot's server may take half a minute to start
        made = list(checks)
    console.print(_table(made))
    worst = [check for check in made if check.verdict is CheckStatus.FAILED]
    warned = sum(check.verdict is CheckStatus.WARNING for check in made)
    text = f"{counted(len(made), 'check')}: {len(worst)} failed, {counted(warned, 'warning')}"
    console.print(text, highlight=False, style="bold red" if worst else "")
    return exit_code(made)


def checks_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Stable keys."""
    return {
        "ok": exit_code(checks) is ExitCode.DONE,
        "checks": [
            {"check": c.name, "verdict": c.verdict.value, "found": c.found, "fix": c.fix or None} for c in checks
        ],
    }


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """Warnings are no reason to stop."""
    return ExitCode.BAD_INPUT if any(c.verdict is CheckStatus.FAILED for c in checks) else ExitCode.DONE


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("check", ""):
        table.add_column(name, no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for check in checks:
        verdict = Text(check.verdict.value, style=_STYLES[check.verdict])
        table.add_row(Text(check.name), verdict, Text(check.found), Text(check.fix))
    return table
