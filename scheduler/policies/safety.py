"""The safety rule: what can be done now so that on-demand capacity can still finish the work in time.

It looks one step ahead, from now to when the policy is asked again. It does not depend on what is believed of a pool:
a deadline is met however wrong that is, as long as on-demand capacity can be had and the work is what it is said to be.
"""

from __future__ import annotations

from dataclasses import dataclass

from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .base import Candidate, Situation
from .choice import hours_between
from .cost_to_go import NOTHING, ON_DEMAND, SPOT, Held


@dataclass(frozen=True, slots=True)
class DeadlineMargin:
    """Where a run stands against its deadline. All in billed hours."""

    hours_left: float  # to the deadline
    work_hours: float  # that is left, on the on-demand offer to fall back on; a careful figure
    restart_hours: float  # to go on demand
    at_risk_hours: float  # of work that a preemption may take
    held: Held  # NOTHING, SPOT or ON_DEMAND, and how long until it works

    @property
    def slack_hours(self) -> float:
        """Hours that need not be worked: those to the deadline less those of work."""
        return self.hours_left - self.work_hours

    def after(self, kind: int, hours: float, *, starts: bool, restart_hours: float) -> tuple[float, float, bool]:
        """Where the run stands after it held one thing for a while.

        Args:
            kind: what is held: NOTHING, SPOT or ON_DEMAND.
            hours: for how long, billed.
            starts: whether it is started now, so that ``restart_hours`` pass before it works.

        Returns:
            The slack in hours, the hours until what is held works, and whether the work is done by then.
        """
        if kind == NOTHING:
            return self.slack_hours - hours, 0.0, False
        starting = restart_hours if starts else self.held.starting_hours
        worked = max(0.0, hours - starting)
        return (
            self.slack_hours - (hours - worked),
            max(0.0, starting - hours),
            self.work_hours <= worked + ROUNDING_ERROR,
        )

    def is_safe(self, kind: int, hours: float, *, starts: bool, restart_hours: float) -> bool:
        """Whether on-demand capacity still finishes in time afterwards. Arguments are those of ``after``."""
        slack, starting, ends = self.after(kind, hours, starts=starts, restart_hours=restart_hours)
        needs = starting if kind == ON_DEMAND else self.restart_hours
        if kind == SPOT:
            needs += self.at_risk_hours
        return ends or slack >= needs - ROUNDING_ERROR


def position(situation: Situation, fall_back: Candidate, margin_hours: float) -> DeadlineMargin:
    """Where a run stands against its deadline.

    Args:
        fall_back: the on-demand candidate that would finish the work.
        margin_hours: billed; kept in hand against wrong predictions.

    Raises:
        ValueError: the run has no deadline.
    """
    if situation.deadline_at is None:
        raise ValueError("without a deadline there is no position")
    kind = NOTHING
    if situation.current is not None:
        kind = SPOT if situation.current.is_spot else ON_DEMAND
    return DeadlineMargin(
        hours_left=hours_between(situation.now, situation.deadline_at, situation),
        work_hours=fall_back.estimate.hours.p90 - fall_back.restart_hours + margin_hours,
        restart_hours=fall_back.restart_hours,
        at_risk_hours=situation.at_risk_hours,
        held=Held(kind, situation.starting_hours if kind != NOTHING else 0.0),
    )
