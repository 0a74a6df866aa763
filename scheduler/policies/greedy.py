"""Spot capacity whenever there is some, nothing while there is none; on demand once the deadline leaves no choice.

The baseline of Wu et al., Can't Be Late: Optimizing Spot Instance Savings under Deadlines, NSDI 2024.
"""

from __future__ import annotations

from .base import Situation
from .by_rule import Preference, RuleOfThumb


class Greedy(RuleOfThumb):
    """Spot or nothing, until only on-demand capacity finishes in time."""

    name = "greedy"

    def preference(self, situation: Situation) -> Preference:
        on_demand = situation.current is not None and not situation.current.is_spot
        # It only ever went on demand for want of slack.
        return Preference.ON_DEMAND if on_demand else Preference.SPOT_OR_NOTHING
