"""The default: ``deadline`` for a job that has one, else ``cheapest``."""

from __future__ import annotations

from .base import Decision, Situation
from .cheapest import Cheapest
from .deadline import MeetDeadline


class Auto:
    """``deadline`` or ``cheapest``, by whether there is a deadline."""

    name = "auto"

    def __init__(self, cooldown_hours: float) -> None:
        self._cheapest = Cheapest(cooldown_hours)
        self._deadline = MeetDeadline(cooldown_hours)

    def decide(self, situation: Situation) -> Decision:
        policy = self._cheapest if situation.deadline_at is None else self._deadline
        return policy.decide(situation)
