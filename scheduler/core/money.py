"""Amounts in US dollars: the smallest that is booked, and how amounts are rounded and written."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from spotwise.cost_models.money import MICRO_USD

__all__ = ["CENT", "MICRO_USD", "in_micro_usd", "json_usd", "short_usd"]

CENT = Decimal("0.01")


def in_micro_usd(amount: Decimal) -> Decimal:
    """Rounded to whole micro-dollars, half to even, as the ledger rounds."""
    return amount.quantize(MICRO_USD, ROUND_HALF_EVEN)


def short_usd(amount: Decimal) -> str:
    """For people: cents from a dollar on, tenths of a cent below; ``never`` where the work would not end."""
    if not amount.is_finite():
        return "never"
    return f"{amount:.2f}" if abs(amount) >= 1 or not amount else f"{amount:.3f}"


def json_usd(amount: Decimal | None) -> str | None:
    """For machines: all decimals, as text; null where there is no amount, or an infinite one."""
    return None if amount is None or not amount.is_finite() else f"{amount:f}"
