"""Column types that keep money exact, times aware and any words storable on every database."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator

from ..core.money import MICRO_USD

_MICROS = Decimal(1_000_000)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL refuses the first, UTF-8 the others


class UsdColumn(TypeDecorator[Decimal]):
    """An amount as whole micro-dollars: SQLite has no exact decimals, and integers add up in SQL."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        micros = value * _MICROS
        if micros != int(micros):
            raise ValueError(f"{value} USD is not a whole number of micro-dollars: round it before it is stored")
        return int(micros)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else (Decimal(value) / _MICROS).quantize(MICRO_USD)


class DecimalColumn(TypeDecorator[Decimal]):
    """A price or another decimal, kept digit by digit as text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class TimestampColumn(TypeDecorator[datetime]):
    """An aware moment, UTC in and out; SQLite keeps no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no zone: moments are aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class TextColumn(TypeDecorator[str]):
    """Text from outside, such as a program's last lines: what a database cannot hold is replaced by U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _UNSTORABLE.sub("\ufffd", value)
