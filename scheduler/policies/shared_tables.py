"""One decision's tables: pools whose terms differ only by price are looked up in a few tables between them.

The least expected cost is concave in the price of spot capacity (it is the least of costs that are straight lines in
it), and so smooth that a straight line between a few prices comes near. Prices are rounded to steps, so that pools of
nearly the same price are equals.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.availability import AvailabilityBelief, PoolModel

from .cost_to_go import Held, Terms, cost_to_go

MOST_TABLES = 3
DEAREST_SHARE = 1.2  # spot capacity that costs more than on-demand capacity is not used, whatever it costs
_SHARE_STEP = 0.05  # of prices: what policies choose hardly changes within


class SharedTables:
    """The tables for some shares of on-demand's price, which look up any share of these and between them."""

    def __init__(self, model: PoolModel, terms: Terms, shares: Sequence[float]) -> None:
        """``terms``: their own share does not matter. ``shares``: of the pools; at least one."""
        self.model, self.tick_hours = model, terms.tick_hours
        self._shares = _looked_up(shares)
        self._tables = [cost_to_go(model, replace(terms, spot_share=share)) for share in self._shares]
        self._read: dict[tuple[int, float, float, Held], Array] = {}

    def after(
        self, belief: AvailabilityBelief, share: float, hours_left: float, slack_hours: float, held: Held
    ) -> float:
        """As ``CostToGo.after``, for spot capacity at this share of on-demand's price."""
        place = (hours_left, slack_hours, held)
        return sum(
            portion * float(belief.weights @ self._by_state(table, *place)) for table, portion in self._between(share)
        )

    def _between(self, share: float) -> list[tuple[int, float]]:
        """Which tables, and how much of each."""
        share = min(max(share_step(share), self._shares[0]), self._shares[-1])
        low = max(bisect_right(self._shares, share) - 1, 0)
        if share <= self._shares[low]:
            return [(low, 1.0)]
        portion = (share - self._shares[low]) / (self._shares[low + 1] - self._shares[low])
        return [(low, 1.0 - portion), (low + 1, portion)]

    def _by_state(self, table: int, hours_left: float, slack_hours: float, held: Held) -> Array:
        """Read once for all pools."""
        key = (table, hours_left, slack_hours, held)
        if key not in self._read:
            self._read[key] = self._tables[table].by_state(hours_left, slack_hours, held)
        return self._read[key]


def _looked_up(shares: Sequence[float]) -> list[float]:
    """The shares that tables are made for, rising: the pools' own where they are few, else from least to most."""
    steps = sorted({share_step(share) for share in shares})
    if len(steps) <= MOST_TABLES:
        return steps
    least, most = steps[0], max(min(steps[-1], share_step(DEAREST_SHARE)), steps[0])
    growth = (most / least) ** (1 / (MOST_TABLES - 1))
    return sorted({share_step(least * growth**n) for n in range(MOST_TABLES)})


def share_step(share: float) -> float:
    """The price of spot capacity that a table is made for, as a share of on-demand's: the step nearest to this one."""
    if not math.isfinite(share):
        return DEAREST_SHARE
    return max(round(share / _SHARE_STEP), 1) * _SHARE_STEP
