"""Keep up with a straight line from the start to the deadline: Uniform Progress.

Wu et al., Can't Be Late: Optimizing Spot Instance Savings under Deadlines, NSDI 2024, section 4. With ``c`` the share
of the work that is done and ``e`` the share that the line asks for:

- no capacity held and ``c < e``: on demand, unless there is spot capacity, which is taken even then ("taking risks")
  and held until it is lost ("exploitation");
- on demand: stay there until the work is ahead of where the line will be two restarts from now ("hysteresis");
- not on spot, and less slack than two restarts: on demand to the end ("safety net").
"""

from __future__ import annotations

import math

from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .base import Candidate, Situation
from .by_rule import Preference, RuleOfThumb
from .choice import hours_between


class UniformProgress(RuleOfThumb):
    """On demand where the work is behind the line, spot where it is not. Meets the deadline, as every rule of thumb."""

    name = "uniform_progress"

    def preference(self, situation: Situation) -> Preference:
        on_demand = [c for c in situation.candidates if not c.offer.is_spot]
        restart_hours = max((c.restart_hours for c in on_demand), default=0.0)
        holds_spot = situation.current is not None and situation.current.is_spot
        holds_on_demand = situation.current is not None and not holds_spot
        if holds_on_demand and situation.share_done < _line(situation, 2 * restart_hours) - ROUNDING_ERROR:
            return Preference.ON_DEMAND
        if not holds_spot and _slack_hours(situation, on_demand) < 2 * restart_hours:
            return Preference.ON_DEMAND
        behind = situation.share_done < _line(situation, 0.0) - ROUNDING_ERROR
        return Preference.SPOT_OR_ON_DEMAND if behind else Preference.SPOT_OR_NOTHING


def _slack_hours(situation: Situation, on_demand: list[Candidate]) -> float:
    if situation.deadline_at is None or not on_demand:
        return math.inf
    left = hours_between(situation.now, situation.deadline_at, situation)
    return left - min(c.estimate.hours.p90 - c.restart_hours for c in on_demand)


def _line(situation: Situation, ahead_hours: float) -> float:
    """The share of all work that should be done so many hours from now."""
    start, end = situation.submitted_at or situation.now, situation.deadline_at
    if end is None or end <= start:
        return 1.0
    passed = hours_between(start, situation.now, situation) + ahead_hours
    return passed / hours_between(start, end, situation)
