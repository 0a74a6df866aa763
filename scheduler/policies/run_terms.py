"""What a run has to do, and under which terms."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spotwise.cost_models.tolerance import ROUNDING_ERROR


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What is to be done and under which terms. Hours are billed hours; money is hours of on-demand capacity."""

    work_hours: float  # on the on-demand offer
    deadline_hours: float
    restart_hours: float
    tick_hours: float  # how often the policy decides; whole ticks are billed
    spot_share: float  # price of spot capacity for the same work, as a share of on-demand's
    checkpoint_interval_hours: float = 0.0  # of work; 0: a preemption loses none

    @property
    def ticks(self) -> int:
        """Whole ticks until the deadline."""
        return math.floor(self.deadline_hours / self.tick_hours + ROUNDING_ERROR)
