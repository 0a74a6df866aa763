"""The tables that ship with the package, under cost_models/data/; its README says where each comes from."""

from __future__ import annotations

import csv
from datetime import date
from importlib import resources

from ..errors import PriceDataError

READ_ON = date(2026, 11, 23)  # the day the facts were read; every table's name ends in it


def read_table(name: str) -> list[dict[str, str]]:
    """All rows of ``<name>-<date>.csv``, by column.

    Raises:
        PriceDataError: the installation lacks the table.
    """
    file = resources.files("spotwise.cost_models") / "data" / f"{name}-{READ_ON.isoformat()}.csv"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PriceDataError(f"{file} is missing from this installation; install spotwise again") from error
    return list(csv.DictReader(text.splitlines()))
