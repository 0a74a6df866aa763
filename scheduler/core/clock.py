"""The only place that reads the time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ..node_agent.steady_clock import steady_s

LARGEST_STEP = timedelta(seconds=2)  # what clocks are put right by day by day; more is a jump
_log = logging.getLogger(__name__)


class Clock(Protocol):
    """What a scheduler needs of time; tests pass their own."""

    def now(self) -> datetime:
        """The current moment, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None: ...


def wall_clock() -> datetime:
    """What the machine's clock shows, whoever has set it."""
    return datetime.now(UTC)


class SystemClock:
    """The machine's clock without its jumps: where the wall clock is set, forward or back, time goes on from the last
    moment at the pace of the steady clock.

    Nothing that lasts may change by that: money spent, leases, deadlines, waits. NTP does step clocks, and people do.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = wall_clock,
        steady: Callable[[], float] = steady_s,
        *,
        start: datetime | None = None,
    ) -> None:
        """``start``: what it shows first; default: the wall clock."""
        self._wall, self._steady = wall, steady
        self._last, self._last_steady = start or wall(), steady()
        self._set_by = wall() - self._last  # how far the wall clock was set away from this one

    def now(self) -> datetime:
        steady, shown = self._steady(), self._wall() - self._set_by
        expected = self._last + timedelta(seconds=steady - self._last_steady)
        jump = shown - expected
        if abs(jump) > LARGEST_STEP:
            _log.warning("the machine's clock was set by %s: spotwise goes on by the steady clock", jump)
            self._set_by += jump
            shown = expected
        self._last, self._last_steady = max(self._last, shown), steady
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
