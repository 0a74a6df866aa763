"""Amounts in US dollars: rounding and texts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spotwise.scheduler.core.money import in_micro_usd, json_usd, short_usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12.346", "12.35"), ("1", "1.00"), ("0.0421", "0.042"), ("0", "0.00"), ("-0.5", "-0.500"), ("Infinity", "never")],
)
def test_people_read_cents_from_a_dollar_on_and_tenths_of_a_cent_below(amount: str, text: str) -> None:
    assert short_usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.000000", "0.000000"), ("1E-7", "0.0000001"), ("40", "40"), ("Infinity", None), (None, None)],
)
def test_machines_read_every_decimal_and_no_exponent(amount: str | None, text: str | None) -> None:
    assert json_usd(None if amount is None else Decimal(amount)) == text


@pytest.mark.parametrize(("amount", "rounded"), [("0.0000005", "0.000000"), ("0.0000015", "0.000002")])
def test_half_a_micro_dollar_is_rounded_to_even(amount: str, rounded: str) -> None:
    assert str(in_micro_usd(Decimal(amount))) == rounded
