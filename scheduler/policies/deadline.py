"""The lowest expected cost that still meets the deadline.

The safety rule: once the time left is no more than the work left on demand, with its restart and a margin, the run goes
on demand and stays there. Until then it may use spot, because on-demand capacity can still finish in time whatever
happens. The gap between the two is the slack; waiting and preemptions use it up, work on spot does not.

On-demand capacity that an attempt found wanting is still what a run falls back on: it is tried again now and again, and
meanwhile the run takes what it can get.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spotwise.cost_models.offer import Market, Offer

from .base import Candidate, Decision, Move, Situation, Stay
from .cheapest import Cheapest
from .choice import (
    Shortlist,
    cheapest,
    described,
    held,
    holds,
    hours_between,
    is_cooling,
    is_just_refused,
    no_capacity_ago,
    place,
    refused_longest_ago,
    shortlist,
    though_refused,
    wait,
    wait_or_stop,
    was_refused,
)

HIGH_CHANCE = 0.9  # of meeting the deadline, before an offer counts as one that does
MARGIN_HOURS = 0.25  # billed; several looks of the supervisor, and a checkpoint
MARGIN_OF_WORK = 0.02  # of the work left: predictions are never exact
SAVING_WORTH_A_MOVE = 0.2  # of the cost on demand; less is not worth a restart
RESTARTS_IN_HAND = 3  # slack, in restarts, that a return to spot needs
LEAST_HOLD_HOURS = 0.5  # billed; on demand is held so long, or a flickering market would be chased ...
LEAST_HOLD_RESTARTS = 5  # ... or for so many restarts, where those are quick
PROBE_RESTARTS = 2  # what a try costs that finds no spot capacity: leaving, and coming back


@dataclass(frozen=True, slots=True)
class Guard:
    """The on-demand offer that finishes the work if spot fails."""

    candidate: Candidate
    hours_left: float  # to the deadline

    @property
    def margin_hours(self) -> float:
        return max(MARGIN_HOURS, MARGIN_OF_WORK * self.candidate.estimate.work_hours)

    @property
    def is_in_time(self) -> bool:
        return self.candidate.estimate.hours.p90 <= self.hours_left

    @property
    def slack_hours(self) -> float:
        """How long on-demand capacity can still be put off; an estimate's hours include its restart."""
        return self.hours_left - self.candidate.estimate.hours.p90 - self.margin_hours

    @property
    def slack_to_return_hours(self) -> float:
        """The slack that makes it safe to give up on-demand capacity for spot again."""
        return RESTARTS_IN_HAND * self.candidate.estimate.overhead_hours + 2 * self.margin_hours


class MeetDeadline:
    """Spot while there is slack, on demand once there is none."""

    name = "deadline"

    def __init__(self, cooldown_hours: float) -> None:
        self._cooldown_hours = cooldown_hours

    def decide(self, situation: Situation) -> Decision:
        if situation.deadline_at is None:
            return Cheapest(self._cooldown_hours).decide(situation)
        if situation.candidates and all(c.estimate.chance_to_meet_deadline is None for c in situation.candidates):
            decision = Cheapest(self._cooldown_hours).decide(situation)
            unknown = "the deadline cannot be minded: how much work there is is unknown"
            return replace(decision, reason=f"{decision.reason}; {unknown}")
        guard = _guard(situation, hours_between(situation.now, situation.deadline_at, situation))
        if situation.current is None:
            return self._start(situation, guard)
        if situation.current.is_spot:
            return _on_spot(situation, situation.current, guard)
        return self._on_demand(situation, situation.current, guard)

    def _start(self, situation: Situation, guard: Guard | None) -> Decision:
        due = guard is not None and guard.is_in_time and guard.slack_hours <= 0
        if guard is not None and due and not is_just_refused(guard.candidate, situation):
            return _fall_back(situation, guard)
        listed = shortlist(situation, self._cooldown_hours)
        if listed.is_empty:
            return wait_or_stop(situation, listed, "offer", self._cooldown_hours)
        if guard is not None and _can_wait_for_spot(situation, guard, listed):
            slack = f"{guard.slack_hours:.1f} h of slack to wait for one"
            return wait(situation, f"no spot offer is available, and {slack}", self._cooldown_hours)
        likely = tuple(c for c in listed.usable if _chance(c) >= HIGH_CHANCE)
        if likely:
            late = {"unlikely to finish in time": len(listed.usable) - len(likely)}
            return place(situation, replace(listed, usable=likely), "that can finish in time", late)
        best = min(listed.usable, key=lambda c: (-_chance(c), c.estimate.hours.expected, c.offer.key))
        chance = f"{100 * _chance(best):.0f} % chance to meet the deadline{though_refused(best, situation)}"
        return Move(best.offer, f"{described(best)}, {chance}, the best of {len(listed.usable)}{listed.rejected()}")

    def _on_demand(self, situation: Situation, current: Offer, guard: Guard | None) -> Decision:
        if guard is None or guard.slack_hours < guard.slack_to_return_hours:
            return Stay(f"{holds(situation, current)}; too little slack to return to spot")
        hold_hours = min(LEAST_HOLD_HOURS, LEAST_HOLD_RESTARTS * guard.candidate.estimate.overhead_hours)
        if situation.current_age_hours < hold_hours:
            return Stay(f"{holds(situation, current)}; held for less than {hold_hours:.2g} h")
        here = held(situation) or guard.candidate
        worth = [
            c
            for c in shortlist(situation, self._cooldown_hours, Market.SPOT).usable
            if not was_refused(c)
            and not is_cooling(c, situation, self._cooldown_hours)
            and _chance(c) >= HIGH_CHANCE
            and _cost_of_a_move(c, here) <= (1 - SAVING_WORTH_A_MOVE) * float(here.estimate.cost_usd.expected)
        ]
        if not worth:
            return Stay(f"{holds(situation, current)}; no spot offer is worth a move")
        best, cost_here = cheapest(worth), here.estimate.cost_usd.expected
        return Move(best.offer, f"back to {described(best)}, not ${cost_here:.2f}; {guard.slack_hours:.1f} h of slack")


def _can_wait_for_spot(situation: Situation, guard: Guard, listed: Shortlist) -> bool:
    """Whether only on demand can be had now, spot may come back, and there is at least as much slack as work.

    With less, waiting would use up what later preemptions need: then it goes on demand, and back when spot is there.
    """
    spot = [c for c in situation.candidates if c.offer.is_spot and c.estimate.can_finish]
    on_demand = cheapest(listed.usable) if not any(c.offer.is_spot for c in listed.usable) else None
    if on_demand is None or not spot or not guard.is_in_time:
        return False
    saves = float(cheapest(spot).estimate.cost_usd.expected) <= (1 - SAVING_WORTH_A_MOVE) * float(
        on_demand.estimate.cost_usd.expected
    )
    return saves and guard.slack_hours > max(guard.candidate.estimate.work_hours, guard.slack_to_return_hours)


def _cost_of_a_move(to: Candidate, here: Candidate) -> float:
    """The rest of the work there, in USD; and where nobody knows whether it can be had, what finding out may cost."""
    expected = float(to.estimate.cost_usd.expected)
    if to.available:
        return expected
    return expected + PROBE_RESTARTS * here.estimate.overhead_hours * float(here.offer.price_usd_per_hour)


def _on_spot(situation: Situation, current: Offer, guard: Guard | None) -> Decision:
    if guard is None:
        return Stay(f"{holds(situation, current)}; there is no on-demand offer to fall back on")
    if guard.slack_hours > 0:
        return Stay(f"{holds(situation, current)}; {guard.slack_hours:.1f} h of slack")
    here = held(situation)
    if not guard.is_in_time and here is not None and _chance(here) >= _chance(guard.candidate):
        return Stay(f"{holds(situation, current)}; on demand would not be done in time either")
    if _is_unlikely_to_be_had(situation, guard):
        return Stay(f"{holds(situation, current)}; on demand had {no_capacity_ago(guard.candidate, situation)}")
    return _fall_back(situation, guard)


def _fall_back(situation: Situation, guard: Guard) -> Move:
    again = though_refused(guard.candidate, situation)
    return Move(guard.candidate.offer, f"{described(guard.candidate)}{again}; no slack is left for spot")


def _is_unlikely_to_be_had(situation: Situation, guard: Guard) -> bool:
    """Spot in hand, on which work goes on, is not given up again and again for capacity that was not there."""
    if not was_refused(guard.candidate):
        return False
    return is_just_refused(guard.candidate, situation) or situation.current_age_hours < LEAST_HOLD_HOURS


def _guard(situation: Situation, hours_left: float) -> Guard | None:
    """The cheapest on-demand offer that is in time; where none is, the fastest. None where there is no such offer.

    One that lately had no capacity counts only where there is no other, and then the one that was tried longest ago.
    """
    on_demand = [c for c in situation.candidates if not c.offer.is_spot and c.estimate.can_finish]
    offers = [c for c in on_demand if c.available is not False or was_refused(c)]
    in_time = _rather_untried([c for c in offers if Guard(c, hours_left).is_in_time])
    if in_time:
        return Guard(cheapest(in_time), hours_left)
    fastest = sorted(_rather_untried(offers), key=lambda c: (c.estimate.hours.p90, c.offer.key))
    return Guard(fastest[0], hours_left) if fastest else None


def _rather_untried(offers: list[Candidate]) -> list[Candidate]:
    return [c for c in offers if not was_refused(c)] or refused_longest_ago(offers)


def _chance(candidate: Candidate) -> float:
    return candidate.estimate.chance_to_meet_deadline or 0.0
