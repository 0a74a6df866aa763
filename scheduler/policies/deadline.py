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
    wait_or_stop,
    was_refused,
)

HIGH_CHANCE = 0.9  # of meeting the deadline, before an offer counts as one that does
MARGIN_HOURS = 0.25  # billed; several looks of the supervisor, and a checkpoint
MARGIN_OF_WORK = 0.02  # of the work left: predictions are never exact
SAVING_WORTH_A_MOVE = 0.2  # of the cost on demand; less is not worth a restart
RESTARTS_IN_HAND = 3  # slack, in restarts, that a return to spot needs
LEAST_HOLD_HOURS = 0.5  # billed; on demand is held at least so long, or a flickering market would be chased


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
            return wait_or_stop(situation, listed, "offer")
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
        if situation.current_age_hours < LEAST_HOLD_HOURS:
            return Stay(f"{holds(situation, current)}; held for less than {LEAST_HOLD_HOURS:g} h")
        cost_here = (held(situation) or guard.candidate).estimate.cost_usd.expected
        worth = [
            c
            for c in shortlist(situation, self._cooldown_hours, Market.SPOT).usable
            if c.available  # for certain: what is held is not given up for a guess
            and not is_cooling(c, situation, self._cooldown_hours)
            and _chance(c) >= HIGH_CHANCE
            and float(c.estimate.cost_usd.expected) <= (1 - SAVING_WORTH_A_MOVE) * float(cost_here)
        ]
        if not worth:
            return Stay(f"{holds(situation, current)}; no spot offer is worth a move")
        best = cheapest(worth)
        return Move(best.offer, f"back to {described(best)}, not ${cost_here:.2f}; {guard.slack_hours:.1f} h of slack")


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
