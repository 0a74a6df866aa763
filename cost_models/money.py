"""The smallest amount of money that is booked."""

from __future__ import annotations

from decimal import Decimal

MICRO_USD = Decimal("0.000001")  # every amount is a whole number of these
