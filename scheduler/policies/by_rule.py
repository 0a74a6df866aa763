"""Policies that follow a rule of thumb until the deadline leaves no choice; then they go on demand, to the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from spotwise.cost_models.offer import Market

from .base import Candidate, Decision, Move, Situation, Stay
from .cheapest import Cheapest
from .choice import cheapest, described, holds, shortlist, wait, wait_or_stop
from .cost_to_go import NOTHING, SPOT
from .safety import DeadlineMargin, position


class Preference(Enum):
    """What a rule wants for the next step."""

    SPOT_OR_NOTHING = "spot capacity, or nothing"
    SPOT_OR_ON_DEMAND = "spot capacity, or on-demand capacity"
    ON_DEMAND = "on-demand capacity"


class RuleOfThumb(ABC):
    """A preference for every situation, within the safety rule. Without a deadline it is ``cheapest``."""

    name: str

    def __init__(self, cooldown_hours: float) -> None:
        self._cooldown_hours = cooldown_hours

    @abstractmethod
    def preference(self, situation: Situation) -> Preference:
        """What the rule wants now. Whether there is still time for it is checked by ``decide``."""

    def decide(self, situation: Situation) -> Decision:
        if situation.deadline_at is None:
            return Cheapest(self._cooldown_hours).decide(situation)
        on_demand = shortlist(situation, self._cooldown_hours, Market.ON_DEMAND)
        if on_demand.is_empty:
            listed = shortlist(situation, self._cooldown_hours)
            return wait_or_stop(situation, listed, "on-demand offer", self._cooldown_hours)
        fall_back = cheapest(on_demand.usable)
        where = position(situation, fall_back, situation.margin_hours or 0.0)
        preference = self.preference(situation)
        spot = None if preference is Preference.ON_DEMAND else self._spot(situation, where)
        if spot is not None:
            return _held_or_moved(situation, spot, preference.value)
        if preference is Preference.SPOT_OR_NOTHING and where.is_safe(
            NOTHING, situation.look_hours, starts=True, restart_hours=where.restart_hours
        ):
            return wait(situation, "no spot capacity", self._cooldown_hours)
        why = preference.value if preference is not Preference.SPOT_OR_NOTHING else "no slack is left for spot"
        return _held_or_moved(situation, fall_back, why)

    def _spot(self, situation: Situation, where: DeadlineMargin) -> Candidate | None:
        """The spot capacity that is held, else the cheapest; None where there is none or no time to take it."""
        listed = shortlist(situation, self._cooldown_hours, Market.SPOT).usable
        mine = [c for c in listed if situation.current is not None and c.offer.key == situation.current.key]
        if not listed:
            return None
        best = mine[0] if mine else cheapest(listed)
        safe = where.is_safe(SPOT, situation.look_hours, starts=not mine, restart_hours=best.restart_hours)
        return best if safe else None


def _held_or_moved(situation: Situation, to: Candidate, why: str) -> Decision:
    if situation.current is not None and situation.current.key == to.offer.key:
        return Stay(f"{holds(situation, to.offer)}; {why}")
    return Move(to.offer, f"{described(to)}; {why}")
