"""The lowest expected cost that still meets the deadline.

The safety rule (``safety``): a run holds only what leaves on-demand capacity enough time to finish, whatever happens
until the next look. Within it, the run does what is expected to cost least (``weighing``, ``cost_to_go``): spot, on
demand, or nothing until spot is back. docs/policies.md explains the model.

On-demand capacity that an attempt found wanting is still what a run falls back on: it is tried again now and again, and
meanwhile the run takes what it can get.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spotwise.cost_models.availability import PoolModel, shipped_model
from spotwise.cost_models.offer import Market, Offer
from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .base import Candidate, Decision, Move, Situation, Stay, Wait
from .cheapest import Cheapest
from .choice import (
    cheapest,
    described,
    held,
    holds,
    hours_between,
    is_cooling,
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
from .fruitless import is_fruitless, without_spot
from .safety import DeadlineMargin, position
from .weighing import Weighed, weigh

HIGH_CHANCE = 0.9  # of meeting the deadline, before an offer counts as one that does
MARGIN_HOURS = 0.25  # billed; several looks of the supervisor, and a checkpoint
MARGIN_OF_WORK = 0.02  # of the work left: predictions are never exact
SAVING_WORTH_A_MOVE = 0.05  # from one spot pool to another: their estimates are not as exact as that
WORTH_ASKING = 0.02  # least chance of spot capacity at which a pool is asked for it
LEAST_HOLD_HOURS = 0.5  # billed; spot that works is held so long before it is given up for little
WORTH_SAYING_USD = 0.005  # less is no difference


@dataclass(frozen=True, slots=True)
class Guard:
    """The on-demand offer that finishes the work if spot fails."""

    candidate: Candidate
    hours_left: float  # to the deadline
    margin_hours: float

    @classmethod
    def of(cls, candidate: Candidate, situation: Situation, hours_left: float) -> Guard:
        """Of an on-demand candidate, so many hours before the deadline; with the situation's margin, or its own."""
        own = max(MARGIN_HOURS, MARGIN_OF_WORK * candidate.estimate.work_hours)
        return cls(candidate, hours_left, own if situation.margin_hours is None else situation.margin_hours)

    @property
    def is_in_time(self) -> bool:
        """Whether it finishes by the deadline in nine cases of ten."""
        return self.candidate.estimate.hours.p90 <= self.hours_left + ROUNDING_ERROR

    @property
    def slack_hours(self) -> float:
        """How long on-demand capacity can still be put off; an estimate's hours include its restart."""
        return self.hours_left - self.candidate.estimate.hours.p90 - self.margin_hours


class MeetDeadline:
    """What is expected to cost least, of all that is safe."""

    name = "deadline"

    def __init__(self, cooldown_hours: float, model: PoolModel | None = None) -> None:
        """``model``: of pools; None takes the one that ships with spotwise."""
        self._cooldown_hours, self._model = cooldown_hours, model

    def decide(self, situation: Situation) -> Decision:
        if situation.deadline_at is None:
            return Cheapest(self._cooldown_hours).decide(situation)
        return without_spot(situation, self._decide) if is_fruitless(situation) else self._decide(situation)

    def _decide(self, situation: Situation) -> Decision:
        if situation.candidates and all(c.estimate.chance_to_meet_deadline is None for c in situation.candidates):
            decision = Cheapest(self._cooldown_hours).decide(situation)
            unknown = "the deadline cannot be minded: how much work there is is unknown"
            return replace(decision, reason=f"{decision.reason}; {unknown}")
        guard = _guard(situation, _hours_left(situation))
        if situation.current is None:
            return self._start(situation, guard)
        if situation.current.is_spot:
            return self._on_spot(situation, situation.current, guard)
        return self._on_demand(situation, situation.current, guard)

    def _start(self, situation: Situation, guard: Guard | None) -> Decision:
        if guard is not None and guard.is_in_time and not is_just_refused(guard.candidate, situation):
            return self._start_in_time(situation, guard)
        listed = shortlist(situation, self._cooldown_hours)
        if listed.is_empty:
            return wait_or_stop(situation, listed, "offer", self._cooldown_hours)
        likely = tuple(c for c in listed.usable if _chance(c) >= HIGH_CHANCE)
        if likely:
            late = {"unlikely to finish in time": len(listed.usable) - len(likely)}
            return place(situation, replace(listed, usable=likely), "that can finish in time", late)
        best = min(listed.usable, key=lambda c: (-_chance(c), c.estimate.hours.expected, c.offer.key))
        chance = f"{100 * _chance(best):.0f} % chance to meet the deadline{though_refused(best, situation)}"
        return Move(best.offer, f"{described(best)}, {chance}, the best of {len(listed.usable)}{listed.rejected()}")

    def _start_in_time(self, situation: Situation, guard: Guard) -> Decision:
        """On-demand capacity could do it all: then what is likely is no matter of being late, only of money."""
        choices = self._weighed(situation, guard)
        best = _least(choices)
        if best is None:  # nobody sells spot capacity
            listed = shortlist(situation, self._cooldown_hours, Market.ON_DEMAND)
            return place(situation, replace(listed, usable=(guard.candidate,)), "on demand")
        if best.candidate is None:
            return self._wait(_why(best, choices, situation, guard), situation, guard)
        if len(choices) == 1:
            return _fall_back(situation, guard)
        return Move(best.candidate.offer, _why(best, choices, situation, guard))

    def _on_spot(self, situation: Situation, current: Offer, guard: Guard | None) -> Decision:
        if guard is None:
            return Stay(f"{holds(situation, current)}; there is no on-demand offer to fall back on")
        here = held(situation)
        if not guard.is_in_time and here is not None and _chance(here) >= _chance(guard.candidate):
            return Stay(f"{holds(situation, current)}; on demand would not be done in time either")
        where = _where(situation, guard)
        if where.is_safe(SPOT, situation.look_hours, starts=False, restart_hours=where.restart_hours):
            return self._on_safe_spot(situation, current, guard)
        if _is_unlikely_to_be_had(situation, guard):
            return Stay(f"{holds(situation, current)}; on demand had {no_capacity_ago(guard.candidate, situation)}")
        return _fall_back(situation, guard)

    def _on_safe_spot(self, situation: Situation, current: Offer, guard: Guard) -> Decision:
        """Stay, unless something else is worth the move."""
        choices = self._weighed(situation, guard)
        better = [each for each in choices if _key(each) == current.key or self._is_to_be_had(each, situation)]
        best, mine = _least(better), _of(current, choices)
        if best is None or mine is None or best is mine or not _is_worth_a_move(best, mine, situation):
            return Stay(f"{holds(situation, current)}; {_slack(situation, guard)}")
        if best.candidate is None:
            return self._wait(_why(best, choices, situation, guard), situation, guard)
        return Move(best.candidate.offer, _why(best, choices, situation, guard))

    def _on_demand(self, situation: Situation, current: Offer, guard: Guard | None) -> Decision:
        if guard is None:
            return Stay(f"{holds(situation, current)}; there is no spot offer to return to")
        choices = [each for each in self._weighed(situation, guard) if self._is_to_be_had(each, situation)]
        best, mine = _least(choices), _of(guard.candidate.offer, choices)
        if best is None or mine is None or best.cost_usd > mine.cost_usd - WORTH_SAYING_USD:
            return Stay(f"{holds(situation, current)}; {_slack(situation, guard)}, and no spot offer is worth a move")
        if best.candidate is None:
            return self._wait(_why(best, choices, situation, guard), situation, guard)
        return Move(best.candidate.offer, f"back to {_why(best, choices, situation, guard)}")

    def _wait(self, why: str, situation: Situation, guard: Guard) -> Wait:
        """No longer than on-demand capacity can be put off."""
        where = _where(situation, guard)
        return wait(situation, why, self._cooldown_hours, where.slack_hours - where.restart_hours)

    def _is_to_be_had(self, choice: Weighed, situation: Situation) -> bool:
        """Capacity in hand is not given up for a pool that just preempted the run or had nothing.

        That a cooldown has ended is no news of the pool either: spot capacity is first held for as long as one lasts.
        """
        to = choice.candidate
        if to is None or not to.offer.is_spot:
            return True
        holds_spot = situation.current is not None and situation.current.is_spot
        if holds_spot and to.refused_at is not None and situation.current_age_hours < self._cooldown_hours:
            return False
        return not was_refused(to) and not is_cooling(to, situation, self._cooldown_hours)

    def _weighed(self, situation: Situation, guard: Guard) -> list[Weighed]:
        """The choices that are safe and can be made now.

        Pools without capacity are weighed as well, since what they may bring is what waiting is for. Nothing is waited
        for where capacity may be there to be taken: that looks cheaper than it is to tables that take the pool's regime
        for something that will be seen.
        """
        spot = [c for c in situation.candidates if c.offer.is_spot and c.estimate.can_finish]
        where = _where(situation, guard)
        tried = {c.offer.key for c in shortlist(situation, self._cooldown_hours, Market.SPOT).usable}
        safe = [c for c in weigh(situation, where, guard.candidate, spot, self._model or shipped_model()) if c.is_safe]
        open_ = [each for each in safe if _is_spot(each) and each.is_due and _key(each) in tried]
        to_wait = not any(each.chance_available >= WORTH_ASKING for each in open_)
        return [each for each in safe if not _is_spot(each) and (to_wait or each.candidate is not None)] + open_


def _hours_left(situation: Situation) -> float:
    """Billed hours to the deadline; infinite without one."""
    if situation.deadline_at is None:
        return math.inf
    return hours_between(situation.now, situation.deadline_at, situation)


def _where(situation: Situation, guard: Guard) -> DeadlineMargin:
    return position(situation, guard.candidate, guard.margin_hours)


def _slack(situation: Situation, guard: Guard) -> str:
    return f"{_where(situation, guard).slack_hours:.1f} h of slack"


def _is_worth_a_move(best: Weighed, mine: Weighed, situation: Situation) -> bool:
    """Whether what a move saves is more than what the estimates are unsure of.

    The restart there is in what the new place costs. Spot capacity that has only just been started is worth that much
    more: what was paid to start it would have been paid for nothing.
    """
    saved = mine.cost_usd - best.cost_usd
    if best.candidate is not None:
        hours = best.candidate.restart_hours
        price = float(best.candidate.offer.price_usd_per_hour) * situation.nodes
        saved -= price * hours if situation.current_age_hours < hours + LEAST_HOLD_HOURS else 0.0
    return saved >= SAVING_WORTH_A_MOVE * mine.cost_usd


def _least(choices: Sequence[Weighed]) -> Weighed | None:
    """The choice that is expected to cost least; of equals one that holds something, then by name."""
    return min(
        choices, key=lambda each: (each.cost_usd + WORTH_SAYING_USD * (not _key(each)), _key(each)), default=None
    )


def _of(offer: Offer, choices: Sequence[Weighed]) -> Weighed | None:
    return next((each for each in choices if _key(each) == offer.key), None)


def _is_spot(choice: Weighed) -> bool:
    return choice.candidate is not None and choice.candidate.offer.is_spot


def _key(choice: Weighed) -> str:
    return "" if choice.candidate is None else choice.candidate.offer.key


def _why(best: Weighed, choices: Sequence[Weighed], situation: Situation, guard: Guard) -> str:
    """What was chosen and what the rest of the work is expected to cost, beside the least of every other kind."""
    beside: dict[str, float] = {}
    for each in choices:
        kind = "waiting" if each.candidate is None else each.candidate.offer.market.value.replace("_", "-")
        if each is not best:
            beside[kind] = min(each.cost_usd, beside.get(kind, math.inf))
    others = "".join(f", {kind} ${cost:.2f}" for kind, cost in sorted(beside.items(), key=lambda item: item[1]))
    what = "waiting for spot" if best.candidate is None else named(best.candidate.offer)
    again = "" if best.candidate is None else though_refused(best.candidate, situation)
    unsure = "" if best.chance_available > HIGH_CHANCE else f"; {100 * best.chance_available:.0f} % likely to be had"
    cost = f"${best.cost_usd:.2f} expected for the rest"
    return f"{what}{again}: {cost}{others}; {_slack(situation, guard)}{unsure}"


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
