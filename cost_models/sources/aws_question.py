"""What AWS is asked in one reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from .base import Machine


@dataclass(frozen=True, slots=True)
class AwsQuestion:
    """Machines of AWS, where and when."""

    machines: tuple[Machine, ...]
    regions: tuple[str, ...]  # at least one
    size: int  # machines at once, at least 1
    now: datetime  # UTC

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Each once: a type stands in several machines where its accelerators are left open."""
        return tuple(dict.fromkeys(machine.instance_type for machine in self.machines))


def in_utc(moment: datetime) -> datetime:
    """A moment of AWS' answers as aware UTC; those without a zone are UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
