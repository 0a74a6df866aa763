"""The only place that reads the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a scheduler needs of time; tests pass their own."""

    def now(self) -> datetime:
        """The current moment, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock, kept from running backwards: where the wall clock is set back, time goes on from the last
    moment at the pace of the steady clock.

    Intervals on the ledger must never be negative, waits must end, and NTP does step clocks back.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._last, self._last_steady = wall(), steady()

    def now(self) -> datetime:
        steady = self._steady()
        self._last = max(self._wall(), self._last + timedelta(seconds=steady - self._last_steady))
        self._last_steady = steady
        return self._last

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def pace(seconds: float) -> tuple[timedelta, timedelta]:
    """How far the wall clock and the steady clock go in about so many seconds."""
    wall, steady = datetime.now(UTC), time.monotonic()
    time.sleep(seconds)
    return datetime.now(UTC) - wall, timedelta(seconds=time.monotonic() - steady)


@dataclass
class ManualClock:
    """A clock that moves only when told: simulations and tests."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
