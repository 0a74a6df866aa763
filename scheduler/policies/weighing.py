"""What each thing that a run could do next is expected to cost, by the tables of ``cost_to_go``.

Several pools are looked up one by one, each as if it were the only one, or held for a while before the run goes on with
another. So nothing relies on capacity that nobody has seen, and the cost is an upper bound. Asking a pool for capacity
while something is held costs work: it is due once not asking is believed to have cost as much.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from spotwise.cost_models.availability import AvailabilityBelief, PoolModel, believe
from spotwise.cost_models.availability.model import TICK_HOURS
from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .base import Candidate, Situation
from .choice import was_refused
from .cost_to_go import NOTHING, ON_DEMAND, SPOT, Held, Terms
from .safety import DeadlineMargin
from .shared_tables import SharedTables

LOOKED_AHEAD_TICKS = 420  # at most: where the deadline is further away, ticks are longer
LEAST_TICKS = 48
AMPLE_TICKS = 168  # of a deadline days away, as long as the slack is this many of them and more:
SLACK_TICKS = 24
STARTING_TICKS = 4  # at most
STAY_HOURS = 3.0  # at most: how long spot capacity is held before the run goes on with another pool
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0)  # in units of TICK_HOURS
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Weighed:
    """A choice and what the rest of the work is then expected to cost, this step included."""

    candidate: Candidate | None  # None: hold nothing
    cost_usd: float  # of spot capacity that may not be there: if it is; while something is held, on average
    is_safe: bool
    chance_available: float = 1.0
    is_due: bool = True  # spot capacity that may not be there: it was not asked for so long that asking pays


def weigh(
    situation: Situation, where: DeadlineMargin, fall_back: Candidate, spot: Sequence[Candidate], model: PoolModel
) -> list[Weighed]:
    """Every choice with what the rest of the work then costs in USD: nothing, on demand, each spot offer.

    Args:
        where: how the run stands against its deadline.
        fall_back: the on-demand candidate that would finish the work.
        spot: candidates whose estimate is finite.
        model: of pools.

    Returns:
        One entry a choice, infinitely dear where it is not safe; none where there is no spot offer or nothing is paid.
    """
    price = float(fall_back.offer.price_usd_per_hour) * situation.nodes
    if not spot or price <= 0:
        return []
    shares = [_share(fall_back, candidate) for candidate in spot]
    tables = SharedTables(model, _terms(situation, where), shares)
    pools = [_PoolCosts(tables, situation, where, *each) for each in zip(spot, shares, strict=True)]
    others = _Others(pools)
    tick = tables.tick_hours
    nothing = min(pool.cost(NOTHING) for pool in pools)
    on_demand = min(pool.cost(ON_DEMAND) for pool in pools)
    wait_safe = where.is_safe(NOTHING, tick, starts=True, restart_hours=0.0)
    found = [
        Weighed(None, price * nothing if wait_safe else math.inf, wait_safe),
        Weighed(fall_back, price * on_demand, is_safe=True),
    ]
    mine = next((pool for pool in pools if not pool.starts), None)
    kept, share = (on_demand, 1.0) if mine is None else (mine.spot_cost(others), mine.share)
    failed_probe = _failed_probe_hours(situation, where)
    for pool in pools:
        safe = where.is_safe(SPOT, tick, starts=pool.starts, restart_hours=pool.restart_hours)
        cost, chance = pool.spot_cost(others) if safe else math.inf, pool.chance_available
        due = True
        if where.held.kind != NOTHING and pool.starts and chance < 1.0:
            cost = chance * cost + (1.0 - chance) * (kept + failed_probe) if chance > 0.0 else math.inf
            due = pool.missed_hours(share) >= failed_probe
        found.append(Weighed(pool.candidate, price * cost, safe, chance, due))
    return found


class _PoolCosts:
    """One spot offer, with what is believed of its pool and the tables that all share."""

    def __init__(
        self,
        tables: SharedTables,
        situation: Situation,
        where: DeadlineMargin,
        candidate: Candidate,
        share: float,
    ) -> None:
        self.candidate, self._where, self._situation, self._tables = candidate, where, situation, tables
        self._belief = _belief(tables.model, situation, candidate)
        self.chance_available = self._belief.chance_available
        self.starts = situation.current is None or situation.current.key != candidate.offer.key
        self.restart_hours = candidate.restart_hours
        self.share = share
        self._later: dict[float, AvailabilityBelief] = {}

    def missed_hours(self, held_share: float) -> float:
        """What not having asked for capacity here is expected to have cost while something was held.

        In hours of on-demand capacity. The chance of capacity grows from none at the last look; asking when this
        reaches what a failed probe costs is the economic order quantity (Harris 1913) of looks. Where nobody has
        looked yet there is nothing to wait for.
        """
        seen, hours = self.candidate.seen, self._situation.current_age_hours
        if seen is None:
            return math.inf
        since = max(self._situation.clock_hours - seen.at_hours, ROUNDING_ERROR)
        hours = min(since, hours)
        before = hours / (2.0 * since)
        return self.chance_available * hours * (1.0 - before) * max(held_share - self.share, 0.0)

    def spot_cost(self, others: _Others) -> float:
        """Of spot capacity here, if it can be had: with this pool alone, or with another after a tick or some hours."""
        where, tick = self._where, self._tables.tick_hours
        stay = max(round(min(self._belief.hours_unbroken, STAY_HOURS) / tick), 1) * tick
        best = self.cost(SPOT)
        for hours in {tick, stay}:
            slack, _, ends = where.after(SPOT, hours, starts=self.starts, restart_hours=self.restart_hours)
            if not ends:
                best = min(best, self.share * hours + others.least_later(self, hours, slack))
        return best

    def later_cost(self, hours: float, slack_hours: float) -> float:
        """Of all after so many hours, with nothing held then and with this pool alone."""
        if hours not in self._later:
            self._later[hours] = self._belief.later(hours)
        left = self._where.hours_left - hours
        return self._tables.after(self._later[hours], self.share, left, slack_hours, Held(NOTHING))

    def cost(self, kind: int) -> float:
        """Of this tick and all after it, in hours of on-demand capacity, where this can be had."""
        where, tick = self._where, self._tables.tick_hours
        starts = self.starts if kind == SPOT else where.held.kind != ON_DEMAND
        restart = self.restart_hours if kind == SPOT else where.restart_hours
        slack, starting, ends = where.after(kind, tick, starts=starts, restart_hours=restart)
        paid = {NOTHING: 0.0, SPOT: self.share * tick, ON_DEMAND: tick}[kind]
        if ends:
            return paid
        belief = self._belief.given(available=True) if kind == SPOT else self._belief
        return paid + self._tables.after(belief, self.share, where.hours_left, slack, Held(kind, starting))


def _share(fall_back: Candidate, candidate: Candidate) -> float:
    """What spot capacity for the same work costs, as a share of on-demand capacity."""
    speed = candidate.estimate.work_hours / max(fall_back.estimate.work_hours, ROUNDING_ERROR)
    return float(candidate.offer.price_usd_per_hour / fall_back.offer.price_usd_per_hour) * speed


class _Others:
    """What going on with another pool later is expected to cost: every pool is looked up once for each such time."""

    def __init__(self, pools: Sequence[_PoolCosts]) -> None:
        self._pools = pools
        self._costs: dict[tuple[float, float], list[tuple[float, _PoolCosts]]] = {}

    def least_later(self, than: _PoolCosts, hours: float, slack_hours: float) -> float:
        """Of all pools but one, after so many hours and with this slack then; infinite where there is no other."""
        key = (hours, slack_hours)
        if key not in self._costs:
            costs = ((pool.later_cost(hours, slack_hours), pool) for pool in self._pools)
            self._costs[key] = heapq.nsmallest(2, costs, key=lambda each: each[0])
        return next((cost for cost, pool in self._costs[key] if pool is not than), math.inf)


def _terms(situation: Situation, where: DeadlineMargin) -> Terms:
    """Those of all pools alike."""
    tick = _tick_hours(where, situation.look_hours)
    restart_hours = max([where.restart_hours, *(c.restart_hours for c in situation.candidates if c.offer.is_spot)])
    return Terms(
        tick_hours=tick,
        ticks=_rounded_up(where.hours_left / tick),
        slack_hours=_rounded_up(where.slack_hours / tick) * tick,
        restart_hours=_short(restart_hours),
        at_risk_hours=_short(where.at_risk_hours),
    )


def _belief(model: PoolModel, situation: Situation, candidate: Candidate) -> AvailabilityBelief:
    """What was seen of the pool, and what is known of this moment."""
    belief = believe(model, candidate.seen, situation.clock_hours)
    if candidate.available is None or was_refused(candidate):
        return belief
    return belief.given(available=candidate.available)


def _failed_probe_hours(situation: Situation, where: DeadlineMargin) -> float:
    """What it costs to ask for spot capacity that is not there while something is held; else it costs nothing."""
    return 2 * where.restart_hours if situation.failed_probe_hours is None else situation.failed_probe_hours


def _tick_hours(where: DeadlineMargin, look_hours: float) -> float:
    """Long enough for a table of few ticks, and not shorter than a look; ``TICK_HOURS`` for a day or two."""
    least = max(_far(where), look_hours, where.restart_hours / STARTING_TICKS)
    wanted = max(least, min(TICK_HOURS, where.hours_left / LEAST_TICKS))
    if abs(wanted - look_hours) < ROUNDING_ERROR:
        return look_hours
    return next((TICK_HOURS * ticks for ticks in _TICKS if TICK_HOURS * ticks >= wanted - ROUNDING_ERROR), wanted)


def _far(where: DeadlineMargin) -> float:
    """Hours of a tick so that a far deadline takes few: fewest where there is slack for many mistakes of one tick."""
    least = where.hours_left / LOOKED_AHEAD_TICKS
    if least <= TICK_HOURS:
        return least
    return max(least, min(where.hours_left / AMPLE_TICKS, where.slack_hours / SLACK_TICKS))


def _rounded_up(ticks: float) -> int:
    """To one of few numbers, so that a table serves a run for long."""
    size = 16.0
    while size < ticks - ROUNDING_ERROR:
        size *= _GROWTH
    return math.ceil(size)


def _short(hours: float) -> float:
    """Three digits."""
    return float(f"{hours:.3g}")
