"""The least that an episode could have cost with knowledge of the future: the bound that policies are held against.

Exact, by dynamic programming backwards over ticks. A state is what is held and how much work is left. A start adds its
restart to the work that is left at once: that is the same as working nothing for so long, except where an instance is
given up before it works, which the least cost never does.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.arrays import Array

from .replay import NOTHING, ON_DEMAND, SPOT, Episode, EpisodeOutcome, Rules

NAME = "omniscient"
_UNIT_HOURS = 1 / 3600  # a second: hours of work and restarts are whole numbers of these


def omniscient(episode: Episode, rules: Rules) -> EpisodeOutcome:
    """The cheapest choices that meet the deadline; where none do, on demand from the first tick to the end.

    With several recordings every zone can be seen, so that no probe fails.
    """
    return _Optimum(episode, rules).outcome()


class _Optimum:
    """Values have shape (zones + 2, units of work left + 1): rows are NOTHING after each zone, see ``_row``."""

    def __init__(self, episode: Episode, rules: Rules) -> None:
        self._episode, self._rules = episode, rules
        seconds = [round(hours / _UNIT_HOURS) for hours in (rules.tick_hours, rules.restart_hours, rules.work_hours)]
        move = round(rules.move_hours / _UNIT_HOURS)
        unit = math.gcd(*seconds, move)
        self._tick, self._restart, self._work, self._move = (value // unit for value in (*seconds, move))
        self._zones = len(episode.traces)
        self._units = self._work + self._restart + self._move + 1
        self._prices, self._on_demand = _prices(episode, rules)

    def outcome(self) -> EpisodeOutcome:
        zones, ticks = self._zones, self._rules.deadline_ticks
        # rows: nothing held (by the zone last used; zones: none yet), spot by zone, on demand (by the zone last used)
        nothing = np.full((zones + 1, self._units), np.inf)
        nothing[:, 0] = 0.0
        spot, on_demand = nothing[:zones].copy(), nothing.copy()
        plans: list[tuple[npt.NDArray[np.int8], ...]] = []
        for tick in range(ticks - 1, -1, -1):
            hold_spot = self._prices[tick][:, None] + self._worked(spot)
            hold_on_demand = self._on_demand + self._worked(on_demand)
            options = self._started(hold_spot, hold_on_demand, nothing)
            plan_nothing = options.argmin(axis=1).astype(np.int8)
            nothing = options.min(axis=1)
            best_spot, best_on_demand = nothing[:zones], nothing
            plan_spot, plan_on_demand = hold_spot <= best_spot, hold_on_demand <= best_on_demand
            spot, on_demand = np.minimum(hold_spot, best_spot), np.minimum(hold_on_demand, best_on_demand)
            for value in (nothing, spot, on_demand):
                value[:, 0] = 0.0
            plans.append((plan_nothing, plan_spot.astype(np.int8), plan_on_demand.astype(np.int8)))
        return self._walk(plans[::-1])

    def _started(self, hold_spot: Array, hold_on_demand: Array, nothing: Array) -> Array:
        """(zones + 1, choices, units): nothing, on demand, spot in each zone, by the zone last used."""
        rows = []
        for last in range(self._zones + 1):
            spot = [
                self._owing(hold_spot[zone], self._restart + (self._move if last not in (zone, self._zones) else 0))
                for zone in range(self._zones)
            ]
            rows.append(np.stack([nothing[last], self._owing(hold_on_demand[last], self._restart), *spot]))
        return np.stack(rows)

    def _owing(self, value: Array, debt: int) -> Array:
        """The value with so much more work to do."""
        owed = np.full_like(value, np.inf)
        owed[: len(value) - debt] = value[debt:]
        return owed

    def _worked(self, value: Array) -> Array:
        """The value with a tick's work less to do."""
        done = np.zeros_like(value)
        done[:, self._tick :] = value[:, : -self._tick]
        return done

    def _walk(self, plans: list[tuple[npt.NDArray[np.int8], ...]]) -> EpisodeOutcome:
        """Follow the plans from the start; the bill is added up as a replay does."""
        rules, zones = self._rules, self._zones
        held, zone, last, left = NOTHING, -1, zones, self._work
        choices: list[str] = []
        where: list[int] = []
        starts, cost = 0, Decimal(0)
        for tick, (plan_nothing, plan_spot, plan_on_demand) in enumerate(plans):
            if left <= 0:
                break
            stays = (held == SPOT and plan_spot[zone][left]) or (held == ON_DEMAND and plan_on_demand[last][left])
            if not stays:
                choice = int(plan_nothing[last][left]) if left < self._units else 1
                if choice == 0:
                    held, zone = NOTHING, -1
                elif choice == 1:
                    held, zone, left, starts = ON_DEMAND, -1, left + self._restart, starts + 1
                else:
                    moves = last not in (choice - 2, zones)
                    left += self._restart + (self._move if moves else 0)
                    held, zone, last, starts = SPOT, choice - 2, choice - 2, starts + 1
            if held != NOTHING:
                left -= self._tick
                cost += self._usd(tick, zone)
            choices.append(held)
            where.append(zone)
        done = left <= 0
        return EpisodeOutcome(
            id=self._episode.id,
            start_tick=self._episode.start_tick,
            policy=NAME,
            choices="".join(choices),
            zones=tuple(where),
            cost_usd=cost,
            finish_hours=len(choices) * rules.tick_hours if done else None,
            met_deadline=done,
            starts=starts,
            tick_hours=rules.tick_hours,
        )

    def _usd(self, tick: int, zone: int) -> Decimal:
        traces = self._episode.traces
        if zone >= 0:
            return self._rules.tick_usd(traces[zone].spot_usd_per_hour[self._episode.start_tick + tick])
        return self._rules.tick_usd(min(trace.on_demand_usd_per_hour for trace in traces))


def _prices(episode: Episode, rules: Rules) -> tuple[Array, float]:
    """USD a tick: of spot capacity by tick and zone, infinite where there is none; and of on-demand capacity."""
    span = slice(episode.start_tick, episode.start_tick + rules.deadline_ticks)
    spot = np.array(
        [
            np.where(trace.available[span], [float(price) for price in trace.spot_usd_per_hour[span]], np.inf)
            for trace in episode.traces
        ]
    ).T
    on_demand = min(float(trace.on_demand_usd_per_hour) for trace in episode.traces)
    return spot * rules.tick_hours, on_demand * rules.tick_hours
