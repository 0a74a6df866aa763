"""Spot capacity whenever there is some, nothing while there is none; on demand once the deadline leaves no choice.

The baseline of Wu et al., Can't Be Late: Optimizing Spot Instance Savings under Deadlines, NSDI 2024.
"""

from __future__ import annotations

from .base import Situation
from .by_rule import RuleOfThumb, Wish


class Greedy(RuleOfThumb):
    name = "greedy"

    def wish(self, situation: Situation) -> Wish:
        on_demand = situation.current is not None and not situation.current.is_spot
        return Wish.ON_DEMAND if on_demand else Wish.SPOT_OR_NOTHING  # it only ever went there for want of slack
