"""What the policies choose, for many runs side by side: the same rules as theirs, on arrays of shape (runs,)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.availability import PoolModel
from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .cost_to_go import NOTHING, ON_DEMAND, SPOT, CostToGo, Terms, cost_to_go
from .deadline import LEAST_HOLD_HOURS, SAVING_WORTH_A_MOVE
from .run_terms import RunTerms
from .shared_tables import share_step

Choice = npt.NDArray[np.intp]  # (runs,): NOTHING, SPOT or ON_DEMAND
Flags = npt.NDArray[np.bool_]
_EVEN_HOURS = 0.005  # on demand; less is no difference


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """Where the runs stand at a tick; arrays of shape (runs,)."""

    hours_left: float
    work: Array  # hours that are left, on demand
    share_done: Array
    held: Choice
    held_ticks: Choice
    starting: Array  # hours until what is held works
    there: Flags  # whether there is spot capacity
    belief: Array  # (runs, states with this capacity)


def choices(policy: str, terms: RunTerms, model: PoolModel) -> Callable[[Standing], Choice]:
    """What this policy chooses, as a function of where runs stand."""
    if policy == "on_demand":
        return lambda at: np.full(len(at.work), ON_DEMAND)
    if policy == "deadline":
        return _LeastCost(terms, model).choose
    prefer = _uniform_progress if policy == "uniform_progress" else _greedy
    return lambda at: _by_rule(prefer(at, terms), at, terms)


@dataclass(frozen=True, eq=False, slots=True)
class _Ahead:
    """Where runs stand after one of the choices was held for a tick."""

    slack: Array
    is_safe: Flags  # on-demand capacity still finishes in time
    ends: Flags  # the work is done by then


def _ahead(kind: int, at: Standing, terms: RunTerms) -> _Ahead:
    """The safety rule of ``safety``."""
    tick, slack = terms.tick_hours, at.hours_left - at.work
    if kind == NOTHING:
        after = slack - tick
        return _Ahead(after, after >= terms.restart_hours - ROUNDING_ERROR, np.zeros(len(slack), dtype=bool))
    starting = np.where(at.held == kind, at.starting, terms.restart_hours)
    worked = np.maximum(0.0, tick - starting)
    after, ends = slack - (tick - worked), at.work <= worked + ROUNDING_ERROR
    needs = np.maximum(0.0, starting - tick)
    if kind == SPOT:
        needs = np.full(len(slack), terms.restart_hours + terms.checkpoint_interval_hours)
    return _Ahead(after, ends | (after >= needs - ROUNDING_ERROR), ends)


class _LeastCost:
    """The deadline policy: the least cost by the tables of ``cost_to_go``, of what is safe."""

    def __init__(self, terms: RunTerms, model: PoolModel) -> None:
        self._terms = terms
        self._table = cost_to_go(
            model,
            Terms(
                tick_hours=terms.tick_hours,
                ticks=terms.ticks,
                slack_hours=max(terms.ticks * terms.tick_hours - terms.work_hours, 0.0) + terms.tick_hours,
                restart_hours=terms.restart_hours,
                spot_share=share_step(terms.spot_share),
                at_risk_hours=terms.checkpoint_interval_hours,
            ),
        )

    def choose(self, at: Standing) -> Choice:
        terms = self._terms
        looked_up = _LookedUp(self._table, at)
        waits, holds, falls_back = (_ahead(kind, at, terms) for kind in (NOTHING, SPOT, ON_DEMAND))
        on_demand = looked_up.cost(ON_DEMAND, falls_back, terms.tick_hours)
        spot = looked_up.cost(SPOT, holds, terms.spot_share * terms.tick_hours)
        wait = looked_up.cost(NOTHING, waits, 0.0)
        can_spot = at.there & holds.is_safe
        spot = np.where(can_spot, spot, np.inf)
        wait = np.where(waits.is_safe & ~can_spot, wait, np.inf)
        least = np.where(spot <= on_demand, SPOT, ON_DEMAND)
        best = np.minimum(spot, on_demand)
        free = np.where(wait + _EVEN_HOURS < best, NOTHING, least)
        young = at.held_ticks * terms.tick_hours < terms.restart_hours + LEAST_HOLD_HOURS
        saved = np.where(can_spot, spot, 0.0) - on_demand - np.where(young, terms.restart_hours, 0.0)
        leaves = ~can_spot | (saved >= SAVING_WORTH_A_MOVE * np.where(can_spot, spot, 0.0))
        on_spot = np.where(leaves, ON_DEMAND, SPOT)
        moves = np.minimum(spot, wait) <= on_demand - _EVEN_HOURS
        back = np.where(moves, np.where(spot <= wait, SPOT, NOTHING), ON_DEMAND)
        return np.select([at.held == SPOT, at.held == ON_DEMAND], [on_spot, back], free)


class _LookedUp:
    """The tables of one tick, read for many runs."""

    def __init__(self, table: CostToGo, at: Standing) -> None:
        costs = table.costs(at.hours_left)
        regimes, phases = table.model.regimes, costs.shape[0] // (2 * table.model.regimes)
        split = costs.reshape(regimes, 2, phases, *costs.shape[1:]).transpose(1, 3, 4, 0, 2)
        self._costs = np.ascontiguousarray(split).reshape(2, *costs.shape[1:], regimes * phases)
        self._table, self._at = table, at

    def cost(self, kind: int, ahead: _Ahead, paid: float) -> Array:
        """Of a tick of this and all after it."""
        at, grid = self._at, self._table.slack_hours
        starting = self._table.terms.starting_ticks
        held: Choice = np.zeros(len(at.work), dtype=np.intp)
        if kind != NOTHING:
            before = np.where(at.held == kind, at.held_ticks, 0)
            held = np.minimum(before, starting - 1) + (1 if kind == SPOT else 1 + starting)
        inside = np.clip(ahead.slack, 0.0, grid[-1] - ROUNDING_ERROR)
        low = np.clip(np.searchsorted(grid, inside + ROUNDING_ERROR, side="right") - 1, 0, len(grid) - 2)
        weight = np.maximum(inside - grid[low], 0.0) / (grid[low + 1] - grid[low])
        there = at.there.astype(np.intp)
        below = np.einsum("ns,ns->n", self._costs[there, held, low], at.belief)
        above = np.einsum("ns,ns->n", self._costs[there, held, low + 1], at.belief)
        return paid + np.where(ahead.ends, 0.0, below * (1.0 - weight) + above * weight)


_ON_DEMAND, _OR_NOTHING, _OR_ON_DEMAND = range(3)  # a rule's preference: only that, or spot and else which


def _greedy(at: Standing, terms: RunTerms) -> Choice:
    return np.where(at.held == ON_DEMAND, _ON_DEMAND, _OR_NOTHING)


def _uniform_progress(at: Standing, terms: RunTerms) -> Choice:
    whole = terms.ticks * terms.tick_hours
    passed, restart = whole - at.hours_left, terms.restart_hours
    behind = at.share_done < passed / whole - ROUNDING_ERROR
    behind_soon = at.share_done < (passed + 2 * restart) / whole - ROUNDING_ERROR
    stays = (at.held == ON_DEMAND) & behind_soon
    net = (at.held != SPOT) & (at.hours_left - at.work < 2 * restart)
    return np.where(stays | net, _ON_DEMAND, np.where(behind, _OR_ON_DEMAND, _OR_NOTHING))


def _by_rule(preference: Choice, at: Standing, terms: RunTerms) -> Choice:
    spot = (preference != _ON_DEMAND) & at.there & _ahead(SPOT, at, terms).is_safe
    nothing = (preference == _OR_NOTHING) & _ahead(NOTHING, at, terms).is_safe
    return np.where(spot, SPOT, np.where(nothing, NOTHING, ON_DEMAND))
