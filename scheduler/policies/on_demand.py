"""On-demand capacity only: what spot is compared with."""

from __future__ import annotations

from spotwise.cost_models.offer import Market

from .base import Decision, Situation, Stay
from .choice import holds, place, shortlist, wait_or_stop


class OnDemand:
    """Starts on the on-demand offer of the lowest expected cost, and stays there."""

    name = "on_demand"

    def __init__(self, cooldown_hours: float) -> None:
        self._cooldown_hours = cooldown_hours

    def decide(self, situation: Situation) -> Decision:
        if situation.current is not None:
            return Stay(holds(situation, situation.current))
        listed = shortlist(situation, self._cooldown_hours, Market.ON_DEMAND)
        if listed.is_empty:
            return wait_or_stop(situation, listed, "on-demand offer", self._cooldown_hours)
        return place(situation, listed, "on demand")
