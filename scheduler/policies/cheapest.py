"""The lowest expected cost, whatever the market. Takes no notice of a deadline."""

from __future__ import annotations

from .base import Decision, Situation, Stay
from .choice import holds, place, shortlist, wait_or_stop
from .fruitless import is_fruitless, without_spot


class Cheapest:
    """Starts where the rest of the work is expected to cost least, and stays there until it ends."""

    name = "cheapest"

    def __init__(self, cooldown_hours: float) -> None:
        self._cooldown_hours = cooldown_hours

    def decide(self, situation: Situation) -> Decision:
        return without_spot(situation, self._decide) if is_fruitless(situation) else self._decide(situation)

    def _decide(self, situation: Situation) -> Decision:
        if situation.current is not None:
            return Stay(holds(situation, situation.current))
        listed = shortlist(situation, self._cooldown_hours)
        if listed.is_empty:
            return wait_or_stop(situation, listed, "offer", self._cooldown_hours)
        return place(situation, listed, "available")
