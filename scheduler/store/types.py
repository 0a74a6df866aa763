"""Column types that keep money exact, times aware and any words storable on every database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator

from ..core.money import MICRO_USD

_MICROS = Decimal(1_000_000)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL refuses the first, UTF-8 the others


@dataclass(frozen=True, slots=True)
class Damaged:
    """What stands in the place of a cell that does not hold what its column says: its row cannot be read."""

    found: str


class _Readable(TypeDecorator[Any]):
    """Base of our columns: one damaged cell must not hide the rows around it, so that reading it never raises."""

    __abstract__ = True
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        process = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return value if process is None else process(value)
            except (ValueError, TypeError, ArithmeticError):
                return Damaged(str(value)[:80])

        return read


class UsdColumn(_Readable):
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


class DecimalColumn(_Readable):
    """A price or another decimal, kept digit by digit as text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class TimestampColumn(_Readable):
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
