"""AWS' published interruption bands: the share of instances interrupted over the trailing month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from .shipped import READ_ON, read_table


@dataclass(frozen=True, slots=True)
class Band:
    """Between ``low`` and ``high`` of the instances, as fractions, were interrupted in the month."""

    low: float
    high: float

    @property
    def midpoint(self) -> float:
        """The middle of the band, as a fraction."""
        return 0.5 * (self.low + self.high)

    def __str__(self) -> str:
        if self.low == 0:
            return f"<{self.high:.0%}"
        return f">{self.low:.0%}" if self.high == 1 else f"{self.low * 100:.0f}-{self.high:.0%}"


@cache
def interruption_bands() -> Mapping[tuple[str, str], Band]:
    """Every published band, by (AWS region, instance type); Linux."""
    return MappingProxyType(
        {
            (row["region"], row["instance_type"]): Band(int(row["low_percent"]) / 100, int(row["high_percent"]) / 100)
            for row in read_table("interruption-bands")
        }
    )


def bands_source() -> str:
    """Where the bands come from, with the day."""
    return f"AWS Spot Instance Advisor, read {READ_ON.isoformat()}"
