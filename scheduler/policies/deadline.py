"""The lowest expected cost that still meets the deadline.

The safety rule (``safety``): a run holds only what leaves on-demand capacity enough time to finish, whatever happens until
the next look. Within it, the run does what is expected to cost least (``weighing``, ``cost_to_go``): spot capacity, on
demand, or nothing until spot is back. docs/policies.md explains the model.

On-demand capacity that an attempt found wanting is still what a run falls back on: it is tried again now and again, and
meanwhile the run takes what it can get.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    is_just_refused,
    named,
    no_capacity_ago,
    place,
    refused_longest_ago,
    shortlist,
    though_refused,
    wait,
    wait_or_stop,
    was_refused,
)
from .cost_to_go import SPOT
from .safety import Position, position
from .weighing import Weighed, weigh

HIGH_CHANCE = 0.9  # of meeting the deadline, before an offer counts as one that does
MARGIN_HOURS = 0.25  # billed; several looks of the supervisor, and a checkpoint
MARGIN_OF_WORK = 0.02  # of the work left: predictions are never exact
SAVING_WORTH_A_MOVE = 0.2  # from one spot pool to another: their estimates are not as exact as that
LEAST_HOLD_HOURS = 0.5  # billed; spot is held so long before on-demand capacity that refused is tried again
WORTH_SAYING = 0.005  # USD; less is no difference


@dataclass(frozen=True, slots=True)
class Guard:
    """The on-demand offer that finishes the work if spot fails."""

    candidate: Candidate
    hours_left: float  # to the deadline
    margin_hours: float

    @classmethod
    def of(cls, candidate: Candidate, situation: Situation, hours_left: float) -> Guard:
        own = max(MARGIN_HOURS, MARGIN_OF_WORK * candidate.estimate.work_hours)
        return cls(candidate, hours_left, own if situation.margin_hours is None else situation.margin_hours)

    @property
    def is_in_time(self) -> bool:
        return self.candidate.estimate.hours.p90 <= self.hours_left + EPSILON_HOURS

    @property
    def slack_hours(self) -> float:
        """How long on-demand capacity can still be put off; an estimate's hours include its restart."""
        return self.hours_left - self.candidate.estimate.hours.p90 - self.margin_hours


EPSILON_HOURS = 1e-9


class MeetDeadline:
    """What is expected to cost least, of all that is safe."""

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
            return self._on_spot(situation, situation.current, guard)
        return self._on_demand(situation, situation.current, guard)

    def _start(self, situation: Situation, guard: Guard | None) -> Decision:
        listed = shortlist(situation, self._cooldown_hours)
        if guard is not None and guard.is_in_time and not is_just_refused(guard.candidate, situation):
            choices = self._weighed(situation, guard)
            best = _least(choices)
            if best is None or (best.candidate is not None and not best.candidate.offer.is_spot):
                return self._on_demand_for_want_of_spot(situation, guard, choices)
            if best.candidate is None:
                return wait(situation, _why(best, choices, situation, guard), self._cooldown_hours)
            return Move(best.candidate.offer, _why(best, choices, situation, guard))
        if listed.is_empty:
            return wait_or_stop(situation, listed, "offer", self._cooldown_hours)
        likely = tuple(c for c in listed.usable if _chance(c) >= HIGH_CHANCE)
        if likely:
            late = {"unlikely to finish in time": len(listed.usable) - len(likely)}
            return place(situation, replace(listed, usable=likely), "that can finish in time", late)
        best_chance = min(listed.usable, key=lambda c: (-_chance(c), c.estimate.hours.expected, c.offer.key))
        chance = (
            f"{100 * _chance(best_chance):.0f} % chance to meet the deadline{though_refused(best_chance, situation)}"
        )
        return Move(
            best_chance.offer,
            f"{described(best_chance)}, {chance}, the best of {len(listed.usable)}{listed.rejected()}",
        )

    def _on_demand_for_want_of_spot(self, situation: Situation, guard: Guard, choices: Sequence[Weighed]) -> Move:
        spot = [each for each in choices if each.candidate is not None and each.candidate.offer.is_spot]
        if guard.slack_hours <= 0 or any(math.isinf(each.cost_usd) for each in spot):
            return _fall_back(situation, guard)
        best = next((each for each in choices if each.candidate is guard.candidate), None)
        if best is None:
            listed = shortlist(situation, self._cooldown_hours, Market.ON_DEMAND)
            return place(situation, replace(listed, usable=(guard.candidate,)), "on demand")
        return Move(guard.candidate.offer, _why(best, choices, situation, guard))

    def _on_spot(self, situation: Situation, current: Offer, guard: Guard | None) -> Decision:
        if guard is None:
            return Stay(f"{holds(situation, current)}; there is no on-demand offer to fall back on")
        here = held(situation)
        if not guard.is_in_time and here is not None and _chance(here) >= _chance(guard.candidate):
            return Stay(f"{holds(situation, current)}; on demand would not be done in time either")
        where = _where(situation, guard)
        safe = where.is_safe(SPOT, situation.look_hours, starts=False, restart_hours=where.restart_hours)
        if not safe:
            if _is_unlikely_to_be_had(situation, guard):
                return Stay(f"{holds(situation, current)}; on demand had {no_capacity_ago(guard.candidate, situation)}")
            return _fall_back(situation, guard)
        choices = self._weighed(situation, guard) if here is not None else []
        best, mine = _least(choices), next((each for each in choices if each.candidate is here), None)
        if best is None or mine is None or best.candidate is None or best.candidate is here:
            return Stay(f"{holds(situation, current)}; {where.slack_hours:.1f} h of slack")
        needed = 1.0 if not best.candidate.offer.is_spot else 1.0 - SAVING_WORTH_A_MOVE
        if best.cost_usd >= needed * mine.cost_usd - WORTH_SAYING or was_refused(best.candidate):
            return Stay(f"{holds(situation, current)}; {where.slack_hours:.1f} h of slack")
        return Move(best.candidate.offer, _why(best, choices, situation, guard))

    def _on_demand(self, situation: Situation, current: Offer, guard: Guard | None) -> Decision:
        if guard is None:
            return Stay(f"{holds(situation, current)}; there is no other on-demand offer")
        choices = self._weighed(situation, guard)
        best, mine = _least(choices), next((each for each in choices if each.candidate is guard.candidate), None)
        if best is None or mine is None or best.candidate is guard.candidate:
            return Stay(f"{holds(situation, current)}; no spot offer is worth a move")
        if best.candidate is None:
            return wait(situation, _why(best, choices, situation, guard), self._cooldown_hours)
        return Move(best.candidate.offer, f"back to {_why(best, choices, situation, guard)}")

    def _weighed(self, situation: Situation, guard: Guard) -> list[Weighed]:
        """Every choice. Pools without capacity count too: what they may bring is what waiting is for."""
        spot = [c for c in situation.candidates if c.offer.is_spot and c.estimate.can_finish]
        tried = {c.offer.key for c in shortlist(situation, self._cooldown_hours, Market.SPOT).usable}
        choices = weigh(situation, _where(situation, guard), guard.candidate, spot)
        return [
            each
            for each in choices
            if each.candidate is None or not each.candidate.offer.is_spot or each.candidate.offer.key in tried
        ]


def _where(situation: Situation, guard: Guard) -> Position:
    return position(situation, guard.candidate, guard.margin_hours)


def _least(choices: Sequence[Weighed]) -> Weighed | None:
    """The choice that is expected to cost least; equals: the one that holds something, then by name."""
    safe = [each for each in choices if each.is_safe and not math.isinf(each.cost_usd)]
    return min(safe, key=lambda each: (each.cost_usd, each.candidate is None, _key(each)), default=None)


def _key(choice: Weighed) -> str:
    return "" if choice.candidate is None else choice.candidate.offer.key


def _why(best: Weighed, choices: Sequence[Weighed], situation: Situation, guard: Guard) -> str:
    """What was chosen and what the rest of the work is expected to cost, beside the other choices."""
    slack = f"{_where(situation, guard).slack_hours:.1f} h of slack"
    others = [each for each in choices if each is not best and each.is_safe and not math.isinf(each.cost_usd)]
    beside: dict[str, float] = {}
    for each in others:
        name = "waiting" if each.candidate is None else each.candidate.offer.market.value.replace("_", " ")
        beside[name] = min(each.cost_usd, beside.get(name, math.inf))
    others_text = "".join(f", {name} ${cost:.2f}" for name, cost in sorted(beside.items(), key=lambda item: item[1]))
    what = "no spot capacity: waiting" if best.candidate is None else named(best.candidate.offer)
    unsure = "" if best.chance_available > HIGH_CHANCE else f"; {100 * best.chance_available:.0f} % likely to be had"
    return f"{what}: the rest is expected to cost ${best.cost_usd:.2f}{others_text}; {slack}{unsure}"


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
    in_time = _rather_untried([c for c in offers if Guard.of(c, situation, hours_left).is_in_time])
    if in_time:
        return Guard.of(cheapest(in_time), situation, hours_left)
    fastest = sorted(_rather_untried(offers), key=lambda c: (c.estimate.hours.p90, c.offer.key))
    return Guard.of(fastest[0], situation, hours_left) if fastest else None


def _rather_untried(offers: list[Candidate]) -> list[Candidate]:
    return [c for c in offers if not was_refused(c)] or refused_longest_ago(offers)


def _chance(candidate: Candidate) -> float:
    return candidate.estimate.chance_to_meet_deadline or 0.0
