"""How figures are written for people: money, shares, hours, times. Machines read the JSON and the CSV instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from .report import Section

NOTHING = "-"  # where a figure does not exist


@dataclass(frozen=True, slots=True)
class Usd:
    """Writes money with one number of decimals throughout a section, so that columns line up."""

    places: int

    @classmethod
    def for_section(cls, section: Section) -> Usd:
        """Cents for sums of ten dollars and more; otherwise four decimals, because runs cost fractions of a cent."""
        return cls(2 if abs(section.total.total_usd) >= 10 else 4)

    def __call__(self, amount: Decimal | None) -> str:
        if amount is None:
            return NOTHING
        sign = "-" if round(amount, self.places) < 0 else ""
        return f"{sign}${abs(amount):,.{self.places}f}"

    def axis(self, amount: float) -> str:
        """A tick label: no more decimals than it needs."""
        return f"${amount:,.{self.places}f}".rstrip("0").rstrip(".") if amount else "$0"


def percent(share: float | None) -> str:
    """A fraction of one as a percentage with one decimal."""
    return NOTHING if share is None else f"{share * 100:.1f}%"


def signed_percent(share: float | None) -> str:
    """The same with its sign, also of gains."""
    return NOTHING if share is None else f"{share * 100:+.1f}%"


def hours(value: Decimal | float | None) -> str:
    """Billed hours with two decimals."""
    return NOTHING if value is None else f"{float(value):,.2f} h"


def number(value: float | None) -> str:
    """A metric's value."""
    return NOTHING if value is None else f"{value:.4g}"


def when(moment: datetime | None) -> str:
    """A moment to the minute, in UTC."""
    return NOTHING if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def label(value: StrEnum | str) -> str:
    """An enum's value as words: ``on_demand`` reads ``on demand``."""
    return str(value).replace("_", " ")


def yes_no(value: bool | None) -> str:
    """``yes``, ``no``, or a dash where it is not known."""
    return NOTHING if value is None else ("yes" if value else "no")
