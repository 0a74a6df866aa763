"""What each thing that a run could do next is expected to cost, by the tables of ``cost_to_go``.

With several pools each is looked up for itself, in a table that knows of the others only how likely one of them has
capacity when it is needed, and what that costs on average. A dearer pool costs its premium until a cheaper one is
likely to have capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spotwise.cost_models.availability import Belief, PoolModel, believe
from spotwise.cost_models.availability.model import TICK_HOURS

from .base import Candidate, Situation
from .choice import was_refused
from .cost_to_go import NOTHING, ON_DEMAND, SPOT, CostToGo, Held, Terms, cost_to_go
from .safety import Position

LOOKED_AHEAD_TICKS = 420  # at most: a longer way to the deadline is gone in longer steps
LEAST_TICKS = 48
STARTING_TICKS = 4  # at most
SOME_TIME_HOURS = 3.0
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0)  # in units of TICK_HOURS
_SHARE_STEP = 0.05  # of prices
_CHANCES = (0.0, 0.15, 0.35, 0.6, 0.85, 0.97)  # so that few tables serve many situations
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Weighed:
    """A choice and what the rest of the work is then expected to cost, this step included."""

    candidate: Candidate | None  # None: hold nothing
    cost_usd: float  # of spot capacity that may not be there: if it is; while something is held, on average
    is_safe: bool
    chance_available: float = 1.0
    beats_on_demand: bool = False  # where there are several pools: it would be worth it if there were no other


def weigh(
    situation: Situation, where: Position, fall_back: Candidate, spot: Sequence[Candidate], model: PoolModel
) -> list[Weighed]:
    """Every choice: nothing, the on-demand offer to fall back on, each spot offer. Unsafe ones cost infinitely much."""
    price = float(fall_back.offer.price_usd_per_hour) * situation.nodes
    pools = [_Pool(model, situation, where, fall_back, candidate) for candidate in spot]
    if not pools or price <= 0:
        return []
    usual = _usual_share(pools)
    restart_hours = max([where.restart_hours, *(pool.restart_hours for pool in pools)])
    for pool in pools:
        pool.meet([other for other in pools if other is not pool], usual, restart_hours)
    tick = pools[0].table.terms.tick_hours
    nothing = min(pool.cost(NOTHING) for pool in pools)
    on_demand = min(pool.cost(ON_DEMAND) for pool in pools)
    wait_safe = where.is_safe(NOTHING, tick, starts=True, restart_hours=0.0)
    found = [
        Weighed(None, price * nothing if wait_safe else math.inf, wait_safe),
        Weighed(fall_back, price * on_demand, is_safe=True),
    ]
    kept = min((pool.cost(SPOT) for pool in pools if not pool.starts), default=on_demand)  # if it is asked for in vain
    vain = _vain_hours(situation, where)
    for pool in pools:
        safe = where.is_safe(SPOT, tick, starts=pool.starts, restart_hours=pool.restart_hours)
        cost, chance = pool.cost(SPOT) if safe else math.inf, pool.chance_available
        if where.held.kind != NOTHING and pool.starts and chance < 1.0:
            cost = chance * cost + (1.0 - chance) * (kept + vain) if chance > 0.0 else math.inf
        worth = len(pools) > 1 and safe and pool.beats_on_demand()
        found.append(Weighed(pool.candidate, price * cost, safe, chance, worth))
    return found


class _Pool:
    """One spot offer, with what is believed of its pool and the table for its terms."""

    def __init__(
        self, model: PoolModel, situation: Situation, where: Position, fall_back: Candidate, candidate: Candidate
    ) -> None:
        self.candidate, self._where = candidate, where
        self._belief = _belief(model, situation, candidate)
        self.chance_available = self._belief.chance_available
        self.starts = situation.current is None or situation.current.key != candidate.offer.key
        self.restart_hours = candidate.restart_hours
        self._model, self._situation = model, situation
        speed = candidate.estimate.work_hours / max(fall_back.estimate.work_hours, 1e-9)
        self.share = float(candidate.offer.price_usd_per_hour / fall_back.offer.price_usd_per_hour) * speed
        self.table: CostToGo

    def meet(self, others: Sequence[_Pool], usual_share: float, restart_hours: float) -> None:
        """Learn of the other pools and of the usual price, and take the table that fits."""
        self._usual_share, self._longest_restart_hours = usual_share, restart_hours
        some_time = 1.0 - math.prod(1.0 - other.chance_some_time for other in others)
        next_tick = 1.0 - math.prod(1.0 - other.chance_next_tick for other in others)
        self.table = cost_to_go(self._model, self._terms(_nearest(some_time), _nearest(next_tick)))

    @property
    def chance_some_time(self) -> float:
        """That it has capacity when this is needed, which is not now."""
        return self._belief.later(SOME_TIME_HOURS).chance_available

    @property
    def chance_next_tick(self) -> float:
        """That it has capacity a tick after it had none."""
        return self._belief.given(available=False).later(TICK_HOURS).chance_available

    def beats_on_demand(self) -> bool:
        """Whether spot capacity here would be worth it if there were no other pool."""
        terms = replace(self._terms(0.0, 0.0), spot_share=_share_step(self.share))
        alone = cost_to_go(self._model, terms)
        return self._cost(SPOT, alone, self.share) < self._cost(ON_DEMAND, alone, self.share)

    def cost(self, kind: int) -> float:
        """Of this tick and all after it, in hours of on-demand capacity, where this can be had."""
        return self._cost(kind, self.table, self._usual_share)

    def _cost(self, kind: int, table: CostToGo, usual_share: float) -> float:
        where, tick = self._where, table.terms.tick_hours
        starts = self.starts if kind == SPOT else where.held.kind != ON_DEMAND
        restart = self.restart_hours if kind == SPOT else where.restart_hours
        slack, starting, ends = where.after(kind, tick, starts=starts, restart_hours=restart)
        if ends:
            return {NOTHING: 0.0, SPOT: self.share * tick, ON_DEMAND: tick}[kind]
        belief, paid = self._belief, tick if kind == ON_DEMAND else 0.0
        if kind == SPOT:
            belief = belief.given(available=True)
            stay = min(belief.hours_unbroken, where.work_hours, SOME_TIME_HOURS)
            paid = usual_share * tick + (self.share - usual_share) * max(stay, tick)
        return paid + table.after(belief, where.hours_left, slack, Held(kind, starting))

    def _terms(self, elsewhere: float, elsewhere_later: float) -> Terms:
        where = self._where
        tick = _tick_hours(where, self._situation.look_hours)
        return Terms(
            tick_hours=tick,
            ticks=_rounded_up(where.hours_left / tick),
            slack_hours=_rounded_up(where.slack_hours / tick) * tick,
            restart_hours=_short(self._longest_restart_hours),
            spot_share=_share_step(self._usual_share),
            at_risk_hours=_short(where.at_risk_hours),
            elsewhere=elsewhere,
            elsewhere_later=elsewhere_later,
        )


def _usual_share(pools: Sequence[_Pool]) -> float:
    """What spot capacity costs on average where the cheapest that can be had is taken, as a share of on demand."""
    total, missed = 0.0, 1.0
    for pool in sorted(pools, key=lambda each: each.share):
        chance = pool.chance_some_time
        total, missed = total + missed * chance * pool.share, missed * (1.0 - chance)
    return total / (1.0 - missed) if missed < 1.0 else min(pool.share for pool in pools)


def _belief(model: PoolModel, situation: Situation, candidate: Candidate) -> Belief:
    """What was seen of the pool, and what is known of this moment."""
    belief = believe(model, candidate.seen, situation.clock_hours)
    if candidate.available is None or was_refused(candidate):
        return belief
    return belief.given(available=candidate.available)


def _vain_hours(situation: Situation, where: Position) -> float:
    """What it costs to ask for spot capacity that is not there while something is held; else it costs nothing."""
    return 2 * where.restart_hours if situation.vain_hours is None else situation.vain_hours


def _tick_hours(where: Position, look_hours: float) -> float:
    """Long enough for a table of few ticks, and not shorter than a look; ``TICK_HOURS`` for a day or two."""
    least = max(where.hours_left / LOOKED_AHEAD_TICKS, look_hours, where.restart_hours / STARTING_TICKS)
    wished = max(least, min(TICK_HOURS, where.hours_left / LEAST_TICKS))
    if abs(wished - look_hours) < 1e-9:
        return look_hours
    return next((TICK_HOURS * ticks for ticks in _TICKS if TICK_HOURS * ticks >= wished - 1e-9), wished)


def _rounded_up(ticks: float) -> int:
    """To one of few numbers, so that a table serves a run for long."""
    size = 16.0
    while size < ticks - 1e-9:
        size *= _GROWTH
    return math.ceil(size)


def _share_step(share: float) -> float:
    return max(round(share / _SHARE_STEP), 1) * _SHARE_STEP


def _nearest(chance: float) -> float:
    return min(_CHANCES, key=lambda each: abs(each - chance))


def _short(hours: float) -> float:
    """Three digits."""
    return float(f"{hours:.3g}")
