"""What is left of a run, estimated anew from what its policy looks at. Pure.

The cost is that of the work left on what the run holds, at its price and with its preemptions, as if capacity there
could always be had again; beside it stands that of the same work on demand. A run that minds its deadline goes on
demand before it is too late, so what it can rely on is not what it holds but on-demand capacity, had now.
"""

from __future__ import annotations

from decimal import Decimal

from ..core.money import in_micro_usd
from ..core.remaining import ChanceOf, Remaining
from ..policies import DEADLINE_POLICIES, ONE_MARKET
from ..policies.base import Candidate, Situation
from ..policies.choice import cheapest, held, hours_between


def estimate_remaining(situation: Situation, policy: str) -> Remaining | None:
    """What is left of a run under this policy; None where nobody knows how much, or where nothing could do it."""
    where = held(situation) if situation.current is not None else _cheapest(situation, policy)
    if where is None or not where.estimate.can_finish or not situation.work_is_known:
        return None
    fall_back = _fall_back(situation)
    chance, chance_of = _chance(situation, policy, fall_back)
    cost = where.estimate.cost_usd
    return Remaining(
        at=situation.now,
        share=1.0 - situation.share_done,
        offer=where.offer.key,
        market=where.offer.market,
        is_held=situation.current is not None,
        expected_usd=_still_to_pay(cost.expected, where, situation),
        low_usd=_still_to_pay(cost.p10, where, situation),
        high_usd=_still_to_pay(cost.p90, where, situation),
        on_demand_usd=None
        if fall_back is None
        else _still_to_pay(fall_back.estimate.cost_usd.expected, fall_back, situation),
        chance_to_meet_deadline=chance,
        chance_of=chance_of,
    )


def _cheapest(situation: Situation, policy: str) -> Candidate | None:
    market = ONE_MARKET.get(policy)
    able = [c for c in situation.candidates if c.estimate.can_finish and market in (None, c.offer.market)]
    return cheapest(able) if able else None


def _fall_back(situation: Situation) -> Candidate | None:
    """The on-demand capacity that is held; else the cheapest in time, else the fastest. None: none is to be had."""
    if situation.current is not None and not situation.current.is_spot:
        return held(situation)
    able = [c for c in situation.candidates if not c.offer.is_spot and c.estimate.can_finish]
    there = [c for c in able if c.available is not False]
    in_time = [c for c in there if _is_in_time(c, situation)]
    if in_time:
        return cheapest(in_time)
    return min(there, key=lambda c: (c.estimate.hours.p90, c.offer.key), default=None)


def _is_in_time(candidate: Candidate, situation: Situation) -> bool:
    """Whether there is slack for a start of it: an estimate's hours include one."""
    if situation.deadline_at is None:
        return True
    return candidate.estimate.hours.p90 <= hours_between(situation.now, situation.deadline_at, situation)


def _chance(situation: Situation, policy: str, fall_back: Candidate | None) -> tuple[float | None, ChanceOf | None]:
    """The chance to be in time, and what it is the chance of.

    While there is slack for a start on demand the policy sees to it that this stays so, whatever becomes of spot. With
    less it keeps what it holds or goes on demand, whichever is likelier in time.
    """
    if situation.deadline_at is None:
        return None, None
    mine = held(situation)
    own = None if mine is None else mine.estimate.chance_to_meet_deadline
    other = fall_back.estimate.chance_to_meet_deadline if fall_back is not None and fall_back != mine else None
    if fall_back is None or other is None or policy not in DEADLINE_POLICIES:
        return own, None if own is None else ChanceOf.HELD
    if own is None or _is_in_time(fall_back, situation) or other > own:
        return other, ChanceOf.ON_DEMAND
    return own, ChanceOf.HELD


def _still_to_pay(usd: Decimal, candidate: Candidate, situation: Situation) -> Decimal:
    """Of an estimate that includes a start: less what of the start of the offer in hand is over."""
    if situation.current is None or candidate.offer.key != situation.current.key:
        return usd
    over_hours = max(0.0, candidate.restart_hours - situation.starting_hours)
    paid = candidate.offer.price_usd_per_hour * situation.nodes * Decimal(str(over_hours))
    return max(Decimal(0), in_micro_usd(usd - paid))
