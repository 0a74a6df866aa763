"""The least expected cost of finishing in time, from every state that a run can be in, as tables to look things up in.

A Markov decision process over ticks. A state is: the ticks to the deadline; the slack (hours to the deadline less hours
of work left); what is held, and for how long where it is still starting; the pool's state (see
``cost_models.availability``: regime, with or without capacity, age of the spell). An action holds or starts spot or
on-demand capacity for a tick, or nothing. It is solved backwards from the deadline. Symbols: docs/notation.md.

The pool's regime cannot be seen. A decision takes the tables' mean under what is believed of it, which is right as long
as one decision changes little of what will be learned (QMDP: Littman, Cassandra and Kaelbling, ICML 1995).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.availability import AvailabilityBelief, PoolModel
from spotwise.cost_models.blas_threads import one_thread
from spotwise.cost_models.tolerance import ROUNDING_ERROR

Table = npt.NDArray[np.float32]

KEPT_TABLES = 24
KEPT_EVERY = 3  # ticks; between two that are kept, costs are a straight line
LATE_HOURS = 5.0  # on demand; what being late costs on top, so that it is never planned
_FINE_HOURS, _MIDDLE_HOURS = 1.0, 4.2  # slack up to which the grid has steps of a fifth, of half a tick
_AMPLE_HOURS, _AMPLE_STEP = 24.0, 0.1  # slack above which steps of three ticks grow with it, and by how much


@dataclass(frozen=True, slots=True)
class Terms:
    """What a table holds for. Hours are billed hours; money is counted in hours of on-demand capacity."""

    tick_hours: float
    ticks: int  # the longest time to the deadline
    slack_hours: float  # the most slack
    restart_hours: float  # from a start until work goes on
    spot_share: float = 1.0  # price of spot capacity, as a share of on-demand's
    at_risk_hours: float = 0.0  # work between two checkpoints: lost at worst, and half of it on average

    @property
    def starting_ticks(self) -> int:
        """Ticks until an instance that was started works all the time."""
        return max(1, math.ceil(self.restart_hours / self.tick_hours - ROUNDING_ERROR))


@dataclass(frozen=True, slots=True)
class Held:
    """What is held after a tick."""

    kind: int  # NOTHING, SPOT, ON_DEMAND
    starting_hours: float = 0.0  # until it works


NOTHING, SPOT, ON_DEMAND = range(3)


class CostToGo:
    """Tables for a pool model under some terms; ``after`` reads them."""

    def __init__(self, model: PoolModel, terms: Terms) -> None:
        self.model, self.terms = model, terms  # the model is kept, so that its id stays its own
        self._slack = _slack_grid(terms)
        self._tables = _Solver(model, terms, self._slack).solved()  # (kept ticks, states, held, slack)
        starting = terms.starting_ticks
        self._starting = np.array(
            [max(0.0, terms.restart_hours - n * terms.tick_hours) for n in range(1, starting + 1)]
        )

    def after(self, belief: AvailabilityBelief, hours_left: float, slack_hours: float, held: Held) -> float:
        """Expected cost after a tick, in hours of on-demand capacity.

        Args:
            hours_left: to the deadline, before the tick.
            slack_hours: after the tick.
            held: after the tick.
        """
        return float(belief.weights @ self.by_state(hours_left, slack_hours, held))

    def by_state(self, hours_left: float, slack_hours: float, held: Held) -> Array:
        """(states,): what ``after`` says where the pool's state is known; arguments as there."""
        kept, share = self._kept(hours_left / self.terms.tick_hours)
        low, high, weight = self._between(slack_hours)
        cost = np.zeros(self.model.states)
        for index, part in self._held(held):
            for table, portion in ((kept, 1.0 - share), (kept + 1, share)):
                if portion > 0.0:
                    costs = self._tables[min(table, len(self._tables) - 1), :, index]
                    cost += part * portion * (costs[:, low] * (1.0 - weight) + costs[:, high] * weight)
        return cost

    @property
    def slack_hours(self) -> Array:
        """(slack,): the slack that each place in a table is for."""
        return self._slack

    def costs(self, hours_left: float) -> Table:
        """(states, held, slack): what ``after`` looks up so many hours before the deadline, for every state at once.

        ``held`` is nothing, then spot capacity by the ticks that it was held for, then on-demand capacity by the same.
        """
        kept, share = self._kept(hours_left / self.terms.tick_hours)
        last = len(self._tables) - 1
        first, second = self._tables[min(kept, last)], self._tables[min(kept + 1, last)]
        return first if share <= 0.0 else np.asarray(first + np.float32(share) * (second - first))

    def _kept(self, ticks: float) -> tuple[int, float]:
        position = max(ticks - 1.0, 0.0) / KEPT_EVERY
        whole = math.floor(position + ROUNDING_ERROR)
        return whole, max(position - whole, 0.0)

    def _between(self, slack_hours: float) -> tuple[int, int, float]:
        grid = self._slack
        inside = min(max(slack_hours, 0.0), grid[-1] - ROUNDING_ERROR)
        low = min(max(int(np.searchsorted(grid, inside + ROUNDING_ERROR, side="right")) - 1, 0), len(grid) - 2)
        return low, low + 1, max(inside - grid[low], 0.0) / (grid[low + 1] - grid[low])

    def _held(self, held: Held) -> list[tuple[int, float]]:
        if held.kind == NOTHING:
            return [(0, 1.0)]
        first = 1 if held.kind == SPOT else 1 + len(self._starting)
        position = float(np.interp(-held.starting_hours, -self._starting, np.arange(len(self._starting))))
        whole = math.floor(position)
        if position - whole < ROUNDING_ERROR:
            return [(first + whole, 1.0)]
        return [(first + whole, 1.0 - position + whole), (first + whole + 1, position - whole)]


_made: OrderedDict[tuple[int, Terms], CostToGo] = OrderedDict()


def cost_to_go(model: PoolModel, terms: Terms) -> CostToGo:
    """The tables for these terms, made on first use: about a second, and some 50 MB; kept for later.

    Tables for a longer way and more slack serve as well: a run that goes on needs no others.
    """
    key = (id(model), replace(terms, ticks=0, slack_hours=0.0))
    made = _made.get(key)
    if made is None or made.terms.ticks < terms.ticks or made.terms.slack_hours < terms.slack_hours - ROUNDING_ERROR:
        if made is not None:
            longer, wider = max(made.terms.ticks, terms.ticks), max(made.terms.slack_hours, terms.slack_hours)
            terms = replace(terms, ticks=longer, slack_hours=wider)
        made = _made[key] = CostToGo(model, terms)
    _made.move_to_end(key)
    if len(_made) > KEPT_TABLES:
        _made.popitem(last=False)
    return made


def _slack_grid(terms: Terms) -> Array:
    """Fine where slack is short: there a few minutes decide whether a start is still possible."""
    tick, most = terms.tick_hours, max(terms.slack_hours, 2 * terms.restart_hours + 2 * terms.tick_hours)
    parts = [
        np.arange(0.0, min(most, _FINE_HOURS) + tick / 5, tick / 5),
        np.arange(0.0, min(most, _MIDDLE_HOURS) + tick / 2, tick / 2),
        np.arange(_MIDDLE_HOURS, min(most, _AMPLE_HOURS) + 3 * tick, 3 * tick),
        _growing(_AMPLE_HOURS, most, 3 * tick),
        terms.restart_hours + tick * np.arange(3),
    ]
    return np.unique(np.round(np.concatenate(parts), 9))


def _growing(first: float, last: float, least_step: float) -> Array:
    """From ``first`` to ``last`` or just above, in steps of a share of what was reached; nothing where it is below."""
    points = [first] if first < last else []
    while points and points[-1] < last:
        points.append(points[-1] + max(least_step, _AMPLE_STEP * points[-1]))
    return np.array(points)


class _Solver:
    """Goes backwards from the deadline. Tables have shape (states, held, slack)."""

    def __init__(self, model: PoolModel, terms: Terms, slack: Array) -> None:
        steps = model.steps(terms.tick_hours)
        self._terms, self._shifts = terms, _Shifts(terms, slack)
        self._any, self._unbroken = steps.any.astype(np.float32), steps.unbroken.astype(np.float32)
        self._broken = self._any - self._unbroken
        self._there = model.has_capacity.astype(bool)
        self._value = np.zeros((model.states, 1 + 2 * terms.starting_ticks, len(slack)), dtype=np.float32)

    @one_thread()
    def solved(self) -> Table:
        """(kept ticks, states, held, slack): what is still to be paid after a tick."""
        every = range(1, self._terms.ticks + KEPT_EVERY + 1)
        kept = np.empty((len(every[::KEPT_EVERY]), *self._value.shape), dtype=np.float32)
        for ticks in every:
            after = self._expected()
            if ticks % KEPT_EVERY == 1:
                kept[ticks // KEPT_EVERY] = after
            self._value = self._best(after, ticks * self._terms.tick_hours)
        return kept

    def _expected(self) -> Table:
        """What the next tick costs on average, by the state before the step and by what is held over it."""
        value, starting = self._value, self._terms.starting_ticks
        lost = _at(value[:, 0], self._shifts.lost)  # spot capacity was taken
        after = (self._any @ value.reshape(len(value), -1)).reshape(value.shape)
        held = value[:, 1 : 1 + starting].reshape(len(value), -1)
        kept = (self._unbroken @ held).reshape(len(value), starting, -1)
        after[:, 1 : 1 + starting] = kept + (self._broken @ lost)[:, None]
        return np.asarray(after)

    def _best(self, after: Table, hours_left: float) -> Table:
        """The least cost over the actions, by what was held before."""
        terms, shifts, starting = self._terms, self._shifts, self._terms.starting_ticks
        tick, slack, there = terms.tick_hours, shifts.slack, self._there[:, None]
        work = hours_left - slack
        back = terms.restart_hours  # what going on demand takes

        def run(price: float, first: int, ticks_held: int, needs_hours: float) -> Table:
            """Hold for a tick what was held for so many before; 0: start it."""
            worked = shifts.worked[min(ticks_held, starting)]
            held = first + min(ticks_held, starting - 1)
            cost = _at(after[:, held], shifts.running[min(ticks_held, starting)]) + np.float32(price * tick)
            cost[:, slack - (tick - worked) < needs_hours - ROUNDING_ERROR] = np.inf
            cost[:, work <= worked + ROUNDING_ERROR] = price * tick
            return cost

        def spot(ticks_held: int) -> Table:
            return run(terms.spot_share, 1, ticks_held, back + terms.at_risk_hours)

        def on_demand(ticks_held: int) -> Table:
            return run(1.0, 1 + starting, ticks_held, shifts.left[ticks_held])

        nothing = _at(after[:, 0], shifts.nothing)
        nothing[:, slack - tick < back - ROUNDING_ERROR] = np.inf
        base = np.minimum(nothing, on_demand(0))
        best = np.empty_like(after)
        best[:, 0] = np.where(there, np.minimum(base, spot(0)), base)
        for held in range(1, starting + 1):
            best[:, held] = np.where(there, np.minimum(base, spot(held)), base)
            best[:, starting + held] = np.minimum(best[:, 0], on_demand(held))
        late = (np.maximum(work, 0.0) + terms.restart_hours + LATE_HOURS).astype(np.float32)
        best = np.where(np.isfinite(best), best, late)
        best[:, :, work <= ROUNDING_ERROR] = 0.0
        return best


class _Shifts:
    """Where slack moves to in a tick, as places in the grid."""

    def __init__(self, terms: Terms, slack: Array) -> None:
        self.slack = slack
        tick, restart, starting = terms.tick_hours, terms.restart_hours, terms.starting_ticks
        left = [max(0.0, restart - n * tick) for n in range(starting + 1)]  # until it works, after n ticks
        self.left = [*left[1:], 0.0]
        self.worked = [max(0.0, tick - hours) for hours in left[:-1]] + [tick]  # in the tick after n ticks
        self.nothing = self._places(tick)
        self.running = [self._places(tick - worked) for worked in self.worked]
        self.lost = self._places(terms.at_risk_hours / 2)

    def _places(self, hours: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        slack = self.slack
        to = np.clip(slack - hours, 0.0, None)
        low = np.clip(np.searchsorted(slack, to + ROUNDING_ERROR, side="right") - 1, 0, len(slack) - 2)
        return low, np.clip((to - slack[low]) / (slack[low + 1] - slack[low]), 0.0, 1.0).astype(np.float32)


def _at(value: Table, places: tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]) -> Table:
    low, weight = places
    at = value.take(low, axis=-1) * (1 - weight)
    at += value.take(low + 1, axis=-1) * weight
    return np.asarray(at)
