"""``spotwise report --json``: the report's fields as they are, money as decimal strings, times in UTC."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .report import Report


def report_json(report: Report) -> dict[str, Any]:
    """The report as JSON values. Keys are field names and stay; new ones may be added."""
    return {"format": 1, **_value(report)}


def _value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return utc_text(value)
    return value


def utc_text(moment: datetime) -> str:
    """ISO 8601 with ``Z``, microseconds only where there are any."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
