"""What each thing that a run could do next is expected to cost, by the tables of ``cost_to_go``.

With several pools each has a table of its own, which knows of the others only how likely one of them has capacity when
it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spotwise.cost_models.availability import Belief, PoolModel, believe, shipped_model
from spotwise.cost_models.availability.model import TICK_HOURS

from .base import Candidate, Situation
from .choice import was_refused
from .cost_to_go import NOTHING, ON_DEMAND, SPOT, CostToGo, Held, Terms, cost_to_go
from .safety import Position

LOOKED_AHEAD_TICKS = 420  # at most: a longer way to the deadline is gone in longer steps
LEAST_TICKS = 48
STARTING_TICKS = 4  # at most
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0)  # in units of TICK_HOURS
_SHARE_STEP = 0.05  # of prices
_CHANCES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0)  # so that few tables serve many situations
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Weighed:
    """A choice and what the rest of the work is then expected to cost, this step included."""

    candidate: Candidate | None  # None: hold nothing
    cost_usd: float
    is_safe: bool
    chance_available: float = 1.0


def weigh(situation: Situation, where: Position, fall_back: Candidate, spot: Sequence[Candidate]) -> list[Weighed]:
    """Every choice: nothing, the on-demand offer to fall back on, each spot offer. Unsafe ones cost infinitely much."""
    model = shipped_model()
    price = float(fall_back.offer.price_usd_per_hour)
    pools = [_Pool(model, situation, where, fall_back, candidate) for candidate in spot]
    if not pools or price <= 0:
        return []
    for pool in pools:
        pool.meet([other for other in pools if other is not pool])
    tick = pools[0].table.terms.tick_hours
    nothing = min(pool.cost(NOTHING) for pool in pools)
    on_demand = min(pool.cost(ON_DEMAND) for pool in pools)
    wait_safe = where.is_safe(NOTHING, tick, starts=True, restart_hours=0.0)
    found = [
        Weighed(None, price * nothing if wait_safe else math.inf, wait_safe),
        Weighed(fall_back, price * on_demand, is_safe=True),
    ]
    otherwise = min(nothing if wait_safe else math.inf, on_demand)
    for pool in pools:
        safe = where.is_safe(SPOT, tick, starts=pool.starts, restart_hours=pool.restart_hours)
        chance = pool.chance_available
        cost = chance * pool.cost(SPOT) + (1.0 - chance) * otherwise if safe and chance > 0 else math.inf
        found.append(Weighed(pool.candidate, price * cost, safe, chance))
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
        self._holds_on_demand = where.held.kind == ON_DEMAND
        self._model, self._situation = model, situation
        speed = candidate.estimate.work_hours / max(fall_back.estimate.work_hours, 1e-9)
        self._share = float(candidate.offer.price_usd_per_hour / fall_back.offer.price_usd_per_hour) * speed
        self._fall_back = fall_back
        self.table: CostToGo

    def meet(self, others: Sequence[_Pool]) -> None:
        """Learn of the other pools, and take the table that fits."""
        now = 1.0 - math.prod(1.0 - other.chance_available for other in others)
        later = 1.0 - math.prod(1.0 - other.chance_later for other in others)
        self.table = cost_to_go(self._model, self._terms(_nearest(now), _nearest(later)))

    @property
    def chance_later(self) -> float:
        """That it has capacity a tick after it had none."""
        return self._belief.given(available=False).later(TICK_HOURS).chance_available

    def cost(self, kind: int) -> float:
        """Of this tick and all after it, in hours of on-demand capacity, where this can be had."""
        where, tick = self._where, self.table.terms.tick_hours
        starts = self.starts if kind == SPOT else where.held.kind != ON_DEMAND
        restart = self.restart_hours if kind == SPOT else where.restart_hours
        slack, starting, ends = where.after(kind, tick, starts=starts, restart_hours=restart)
        paid = {NOTHING: 0.0, SPOT: self._share * tick, ON_DEMAND: tick}[kind]
        if ends:
            return paid
        belief = self._belief.given(available=True) if kind == SPOT else self._belief
        return paid + self.table.after(belief, where.hours_left, slack, Held(kind, starting))

    def _terms(self, elsewhere: float, elsewhere_later: float) -> Terms:
        where = self._where
        tick = _tick_hours(where, self._situation.look_hours)
        return Terms(
            tick_hours=tick,
            ticks=_rounded_up(where.hours_left / tick),
            slack_hours=_rounded_up(where.slack_hours / tick) * tick,
            restart_hours=_short(max(where.restart_hours, self.restart_hours)),
            spot_share=max(round(self._share / _SHARE_STEP), 1) * _SHARE_STEP,
            at_risk_hours=_short(where.at_risk_hours),
            elsewhere=elsewhere,
            elsewhere_later=elsewhere_later,
        )


def _belief(model: PoolModel, situation: Situation, candidate: Candidate) -> Belief:
    """What was seen of the pool, and what is known of this moment."""
    belief = believe(model, candidate.seen, situation.clock_hours)
    if candidate.available is None or was_refused(candidate):
        return belief
    return belief.given(available=candidate.available)


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


def _nearest(chance: float) -> float:
    return min(_CHANCES, key=lambda each: abs(each - chance))


def _short(hours: float) -> float:
    """Three digits."""
    return float(f"{hours:.3g}")
