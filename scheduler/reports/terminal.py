"""The report as tables: coloured in a terminal, plain text when piped."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..accounting.team_month import Money
from . import tables
from .formats import Usd, when
from .report import Report, Section
from .summary import EMPTY, left_out, month_name, summary
from .tables import Grid

MOST_TRIALS = 10  # a terminal shows the dearest; the HTML page shows all
_STYLES = {"strong": "bold", "good": "green", "warn": "yellow", "bad": "bold red"}


def render_terminal(report: Report, console: Console) -> None:
    """Print the report. Lines fit 100 columns; no colours and no rules when the console is not a terminal."""
    console.print(Text(f"Cost report, {month_name(report.month)}, made {when(report.generated_at)} UTC", style="bold"))
    if report.unreadable:
        console.print(Text(left_out(report), style="bold red"))
    if not report.sections:
        console.print(Text(EMPTY))
    for section in report.sections:
        _render_section(section, console)


def _render_section(section: Section, console: Console) -> None:
    console.print()
    console.print(Text(section.notice, style="bold yellow" if section.money is Money.EMULATED else "bold"))
    console.print()
    for sentence in summary(section):
        console.print(Text(f"* {sentence}"))
    for grid in _grids(section, Usd.for_section(section)):
        if grid.lines:
            console.print()
            _print_grid(grid, console)


def _grids(section: Section, usd: Usd) -> Iterator[Grid]:
    yield tables.spend_grid(section, usd)
    yield tables.budget_grid(section, usd)
    if section.total.booked_usd:
        yield tables.category_grid(section, usd)
    yield tables.market_grid(section, usd)
    yield tables.basis_grid(section, usd)
    yield tables.run_grid(section, usd)
    yield tables.outcome_grid(section, usd)
    yield tables.prediction_grid(section, usd)
    yield tables.sweep_grid(section, usd)
    yield tables.past_grid(section, usd)
    for study in section.studies:
        yield tables.trial_grid(study, usd, most=MOST_TRIALS)
    yield tables.model_grid(section, usd)


def _print_grid(grid: Grid, console: Console) -> None:
    """Every cell is plain text: what users name is never read as markup."""
    fancy = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if fancy else None, pad_edge=False, padding=(0, 1) if fancy else (0, 2, 0, 0))
    for name in grid.left:
        table.add_column(Text(name), overflow="fold")
    for name in grid.right:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for line in grid.lines:
        first, *rest = line.cells
        table.add_row(Text("  " * line.depth + first), *(Text(cell) for cell in rest), style=_STYLES.get(line.tone, ""))
    console.print(Text(grid.title if fancy else grid.title.upper(), style="bold"))
    console.print(table)
    if grid.note:
        console.print(Text(grid.note, style="dim"))
