"""Sources of prices that say what a test wants, and values to say."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from factories import T0

from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources.base import Quote, Reading, Row, SourceQuery


def quote(zone: str = "a", usd: str = "0.30", at: datetime = T0, market: Market = Market.SPOT) -> Quote:
    """Of the pool that `factories.offer` makes for this zone."""
    return Quote(Pool("aws", "us-east-1", zone, "g4dn.xlarge"), market, Decimal(usd), at)


@dataclass
class FakeSource:
    """Answers with ``rows`` or ``skipped``, raises ``fault``, or says nothing until ``go_on`` is set."""

    name: str = "aws"
    rows: Sequence[Row] = ()
    skipped: Sequence[str] = ()
    fault: Exception | None = None
    hangs: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[SourceQuery] = field(default_factory=list)

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        self.asked.append(query)
        if self.hangs:
            self.go_on.wait(60)
        if self.fault is not None:
            raise self.fault
        return Reading(f"{self.name}'s prices", now, tuple(self.rows), tuple(self.skipped))
