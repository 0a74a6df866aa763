"""Tables for terminals of any width: ids, states and money are always there in full."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUNDED = 10_000


class ResponsiveTable:
    """The first of these tables that fits, or the last. Columns with ``no_wrap`` keep their natural width.

    Rich itself takes from all columns alike when space is short, and cuts prices to their first digit.
    """

    def __init__(self, *tables: Table) -> None:
        self._tables = tables
        for table in tables:
            _keep_whole(table)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=UNBOUNDED)
        for table in self._tables:
            if Measurement.get(console, unbounded, table).minimum <= options.max_width:
                yield table
                return
        yield self._tables[-1]


def stacked(*lines: str | Text) -> Text:
    """A cell that holds what are columns of their own where there is room."""
    return Text("\n").join(Text(line) if isinstance(line, str) else line for line in lines)


def _keep_whole(table: Table) -> None:
    for column in table.columns:
        if column.no_wrap:
            cells = (str(cell) for cell in (column.header, *column.cells))
            column.min_width = max(cell_len(line) for cell in cells for line in cell.split("\n"))
