"""Where an attempt's machines came up, and what follows from it: a region's zones have prices of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from ...node_agent.task import NodeTask, SpendingLimit
from .sky import Landing, SkyUnreachableError

MOST_ASKS = 4  # about an attempt that is over; then it is billed at its offer's price


@dataclass
class LandingInquiry:
    """SkyPilot is asked now and then where one attempt came up, until it can say."""

    asks: int = 0
    _asked_at_s: float = -1e9
    _asked: Future[Landing | None] | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether an attempt that is over is not to wait for the answer any more."""
        return self.asks >= MOST_ASKS and self._asked is None

    def answer(self, ask: Callable[[], Future[Landing | None]], pause_s: float) -> Landing | None:
        """What SkyPilot said; None while it has not. ``ask`` asks it, in a thread, not more often than ``pause_s``."""
        if self._asked is None and time.monotonic() - self._asked_at_s >= pause_s:
            self._asked_at_s, self.asks = time.monotonic(), self.asks + 1
            self._asked = ask()
        if self._asked is None or not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        with suppress(SkyUnreachableError):  # it is asked again
            return asked.result()
        return None


def limit_there(task: NodeTask, offered: Decimal | None, landing: Landing) -> SpendingLimit | None:
    """For how long the attempt's money lasts where it landed; None where that is no less than its nodes know."""
    price = landing.price_usd_per_hour
    if task.stop_after_s is None or offered is None or price is None or price <= offered:
        return None
    paid_for_s = task.stop_after_s + task.stop_grace_s
    return SpendingLimit(paid_for_s * float(offered / price) - task.stop_grace_s)
