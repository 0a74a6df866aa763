"""Why the offers that a plan did not choose were not chosen, in figures that are there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spotwise.cost_models.availability import shipped_model
from spotwise.cost_models.offer import Market, Offer

from ..core.money import CENT
from ..policies import DEADLINE_POLICIES, ONE_MARKET
from ..policies.base import Candidate, Situation
from ..policies.choice import cheapest, hours_between, no_capacity_ago
from ..policies.deadline import HIGH_CHANCE, Guard
from ..policies.safety import DeadlineMargin, position
from ..policies.weighing import Weighed, weigh

_NOTHING = ""  # key of holding nothing for now


@dataclass(frozen=True, slots=True)
class _Weighing:
    """What a policy that minds the deadline compares: costs to the end, with outages and on-demand hours."""

    where: DeadlineMargin
    fall_back: Candidate
    found: Mapping[str, Weighed]  # by offer key

    def usd(self, key: str) -> float | None:
        choice = self.found.get(key)
        return None if choice is None or not choice.is_safe else choice.cost_usd


def reasons_against(situation: Situation, picked: Candidate | None, policy: str) -> dict[Offer, str]:
    """For every candidate but the one picked, why it was not. ``picked`` None: the policy waits, or gives up."""
    weighing = _weighed(situation, policy)
    others = (c for c in situation.candidates if c is not picked)
    return {c.offer: _why_not(c, picked, situation, policy, weighing) for c in others}


def _why_not(
    candidate: Candidate, picked: Candidate | None, situation: Situation, policy: str, weighing: _Weighing | None
) -> str:
    if candidate.available is False:
        return no_capacity_ago(candidate, situation)
    market = ONE_MARKET.get(policy)
    if market not in (None, candidate.offer.market):
        return f"{_named(candidate.offer.market)}, and policy: {policy} takes {_named(Market(market))} capacity only"
    if not candidate.estimate.can_finish:
        return "preempted faster than it makes progress"
    if weighing is not None:
        return _outweighed(candidate, picked, weighing)
    return "the policy does not allow it" if picked is None else _behind(candidate, picked, policy)


def _behind(candidate: Candidate, picked: Candidate, policy: str) -> str:
    """Where the policy compares estimates: the chance to be in time first, if it minds that, then the cost."""
    chance, best = candidate.estimate.chance_to_meet_deadline, picked.estimate.chance_to_meet_deadline or 0.0
    if policy in DEADLINE_POLICIES and chance is not None and chance < min(best, HIGH_CHANCE):
        return f"in time with {chance:.0%} only"
    return _more(candidate, picked) or "expected to cost the same"


def _outweighed(candidate: Candidate, picked: Candidate | None, weighing: _Weighing) -> str:
    """Where the policy weighs costs to the end: against what was picked, or against waiting."""
    choice = weighing.found.get(candidate.offer.key)
    if choice is not None and not choice.is_safe:
        return _unsafe(candidate, weighing.where)
    if choice is None and candidate.estimate.hours.p90 > weighing.where.hours_left:
        return f"in time with {candidate.estimate.chance_to_meet_deadline or 0.0:.0%} only"
    more = None if picked is None else _more(candidate, picked)
    if more is not None:
        return more
    best = weighing.usd(_NOTHING if picked is None else picked.offer.key)
    if choice is None or best is None:  # on-demand capacity other than that which is fallen back on
        beside = weighing.fall_back
        return f"{_more(candidate, beside) or 'no cheaper'} than on demand in {beside.offer.pool.place}"
    against = f"{'waiting' if picked is None else 'chosen'} {best:.2f}"
    return f"{choice.cost_usd:.2f} USD expected with outages, {against}"


def _unsafe(candidate: Candidate, where: DeadlineMargin) -> str:
    needed = candidate.restart_hours + where.restart_hours + where.at_risk_hours
    return (
        f"no slack for it: {max(0.0, where.slack_hours):.1f} h, and to start it, lose it and go on demand "
        f"takes {needed:.1f} h"
    )


def _more(candidate: Candidate, than: Candidate) -> str | None:
    """None where it is not more, in whole cents."""
    more = (candidate.estimate.cost_usd.expected - than.estimate.cost_usd.expected).quantize(CENT)
    return f"{more} USD more expected" if more > 0 else None


def _weighed(situation: Situation, policy: str) -> _Weighing | None:
    """None where the policy compares no such costs: without a deadline, or with none that on demand would meet."""
    chances = (c.estimate.chance_to_meet_deadline for c in situation.candidates)
    if situation.deadline_at is None or policy not in DEADLINE_POLICIES or all(chance is None for chance in chances):
        return None
    left = hours_between(situation.now, situation.deadline_at, situation)
    on_demand = [c for c in situation.candidates if not c.offer.is_spot and c.available is not False]
    in_time = [c for c in on_demand if Guard.of(c, situation, left).is_in_time]
    if not in_time:
        return None
    guard = Guard.of(cheapest(in_time), situation, left)
    where = position(situation, guard.candidate, guard.margin_hours)
    spot = [c for c in situation.candidates if c.offer.is_spot and c.estimate.can_finish]
    found = weigh(situation, where, guard.candidate, spot, shipped_model())
    keyed = {_NOTHING if each.candidate is None else each.candidate.offer.key: each for each in found}
    return _Weighing(where, guard.candidate, keyed)


def _named(market: Market) -> str:
    return market.value.replace("_", "-")
