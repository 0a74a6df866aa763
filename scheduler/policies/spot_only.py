"""Spot capacity only, however long it takes. Takes no notice of a deadline."""

from __future__ import annotations

from spotwise.cost_models.offer import Market

from .base import Decision, Situation, Stay, Stop
from .choice import holds, place, shortlist, wait_or_stop
from .fruitless import is_fruitless, lost_in_vain_text


class SpotOnly:
    """Starts on the spot offer of the lowest expected cost; waits while there is none."""

    name = "spot_only"

    def __init__(self, cooldown_hours: float) -> None:
        self._cooldown_hours = cooldown_hours

    def decide(self, situation: Situation) -> Decision:
        if situation.current is not None:
            return Stay(holds(situation, situation.current))
        if is_fruitless(situation, patient=True):
            return Stop(f"{lost_in_vain_text(situation)}: spot machines do not live long enough for this job")
        listed = shortlist(situation, self._cooldown_hours, Market.SPOT)
        if listed.is_empty:
            return wait_or_stop(situation, listed, "spot offer", self._cooldown_hours)
        return place(situation, listed, "spot offers available")
