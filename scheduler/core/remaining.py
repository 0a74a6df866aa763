"""What is left of a run, as it was last estimated: a value that the supervisor keeps and `spotwise status` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from spotwise.cost_models.offer import Market


class ChanceOf(StrEnum):
    """What a chance to meet the deadline is the chance of."""

    ON_DEMAND = "on_demand"  # going on demand now: what a run that minds its deadline can always do instead
    HELD = "held"  # going on where the run is


@dataclass(frozen=True, slots=True)
class Remaining:
    """The work that was left at a moment: its cost where the run is, and whether it will be in time."""

    at: datetime
    share: float  # of all work
    offer: str  # key of the offer that the cost is of, for people
    market: Market | None  # of that offer; None: estimated by a version that did not keep it
    is_held: bool  # False: the run holds nothing, and it is the cheapest that it could take
    expected_usd: Decimal
    low_usd: Decimal  # 10th percentile
    high_usd: Decimal  # 90th percentile
    on_demand_usd: Decimal | None  # expected, of the same work; None: no on-demand capacity is to be had
    chance_to_meet_deadline: float | None  # None: no deadline, or nothing in hand and nothing to fall back on
    chance_of: ChanceOf | None
