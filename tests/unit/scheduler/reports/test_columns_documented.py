"""docs/report-columns.md explains every column of every table, and every column of the CSV."""

from __future__ import annotations

import re
from pathlib import Path

from sample_report import sample_data

from spotwise.scheduler.accounting.ledger import Category
from spotwise.scheduler.reports import build_report, tables
from spotwise.scheduler.reports.focus import COLUMNS
from spotwise.scheduler.reports.formats import Usd, label
from spotwise.scheduler.reports.report import BudgetState, Forecast
from spotwise.scheduler.reports.tables import Grid

PAGE = Path(__file__).parents[4] / "docs" / "report-columns.md"


def explained(heading: str) -> set[str]:
    """First cells of the rows under a heading, without the marks around them."""
    text = PAGE.read_text("utf-8")
    part = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return {row.split("|")[1].strip().strip("`") for row in part.splitlines() if row.startswith("| `")}


def grids() -> list[Grid]:
    (section,) = build_report(sample_data()).sections
    usd = Usd.for_section(section)
    return [
        tables.spend_grid(section, usd),
        tables.budget_grid(section, usd),
        tables.category_grid(section, usd),
        tables.market_grid(section, usd),
        tables.basis_grid(section, usd),
        tables.run_grid(section, usd),
        tables.code_grid(section, usd),
        tables.outcome_grid(section, usd),
        tables.prediction_grid(section, usd),
        tables.sweep_grid(section, usd),
        tables.past_grid(section, usd),
        tables.trial_grid(section.studies[0], usd),
        tables.model_grid(section, usd),
        tables.attempt_grid(section, usd),
        tables.series_grid(section, usd),
    ]


def test_every_tables_columns_are_explained() -> None:
    """Under a heading with the table's key; a trial table's metric column bears the metric's name."""
    for grid in grids():
        columns = {*grid.left, *grid.right} - {"val_accuracy"}
        assert columns <= explained(grid.key), grid.key


def test_every_table_is_in_the_list() -> None:
    """A new table must be added to this test, and so to the page."""
    made = {name for name in vars(tables) if name.endswith("_grid")}
    assert len(made) == len(grids())


def test_every_column_of_the_csv_is_explained_and_no_other() -> None:
    assert explained("focus.csv") == set(COLUMNS)


def test_every_word_in_the_cells_is_explained() -> None:
    """Categories, states of a budget, methods of a forecast."""
    assert explained("Categories") == {label(c) for c in Category}
    assert explained("States of a budget") == {label(s) for s in BudgetState}
    assert explained("Methods of a forecast") == {label(f) for f in Forecast}
