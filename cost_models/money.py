"""Amounts of money: the smallest that is booked, and what of a text is a price."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MICRO_USD = Decimal("0.000001")  # every amount is a whole number of these
MOST_USD_PER_HOUR = Decimal(10**9)  # what is more is a fault of whoever says it


def price_of(text: object) -> Decimal | None:
    """The price that a text from outside names; None for what is no price: empty, NaN, infinite, zero, negative."""
    try:
        price = Decimal(text) if isinstance(text, str) else Decimal(0)
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 < price < MOST_USD_PER_HOUR else None
