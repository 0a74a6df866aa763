"""Google's numbers as they come in answers: amounts of money, times, durations. What is absent or absurd stays None."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..money import MOST_USD_PER_HOUR

_NANOS = 1_000_000_000
_LONGEST_S = 1e9  # 30 years: what is said to live longer is no machine


def usd(money: Any) -> Decimal | None:
    """A positive amount in USD of a Money of compute_v1 or of google.type: whole units and billionths.

    An amount without a currency is taken for USD, which is what list prices are asked in.
    """
    if money is None or (money.currency_code or "USD") != "USD" or abs(money.nanos) >= _NANOS:
        return None
    amount = Decimal(money.units) + Decimal(money.nanos) / _NANOS
    return amount if 0 < amount < MOST_USD_PER_HOUR else None


def utc(text: str) -> datetime | None:
    """A time as RFC 3339 writes it, in UTC; None where it is empty, without a zone, or no time."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def duration_hours(text: str) -> float | None:
    """Hours of a duration such as ``"3600s"``; None where it is empty, not positive, or no duration."""
    try:
        seconds = float(text.removesuffix("s")) if text.endswith("s") else math.nan
    except ValueError:
        return None
    return seconds / 3600 if 0 < seconds < _LONGEST_S else None


def fraction(value: float) -> float | None:
    """A share between 0 and 1, both included; None for what is none."""
    return float(value) if 0 <= value <= 1 else None
