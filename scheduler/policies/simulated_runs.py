"""What a policy will do and pay, before its first step: whole runs on pools that are drawn from the model of pools.

Every sample is a pool of its own: its regime is drawn from the model's prior, so that the samples differ as much as
pools do, and its spells come and go by the model. The policy sees what it would see in life, capacity or none, and
believes what it would believe. All samples are worked on side by side, a tick at a time. What is assumed: one spot pool
whose capacity is seen at every tick, one price each for spot and on demand, on-demand capacity at all times.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.availability import PoolModel
from spotwise.cost_models.availability.drawn_pools import DrawnPools
from spotwise.cost_models.blas_threads import one_thread
from spotwise.cost_models.tolerance import ROUNDING_ERROR

from .cost_to_go import NOTHING, ON_DEMAND, SPOT
from .run_terms import RunTerms
from .simulated_choices import Standing, choices

SIMULATED = ("deadline", "greedy", "on_demand", "uniform_progress")
SAMPLES = 400


@dataclass(frozen=True, eq=False, slots=True)
class SimulatedRuns:
    """What became of each sample; shape (samples,) each."""

    hours: Array  # from the start to the end
    spot_hours: Array  # billed
    on_demand_hours: Array  # billed

    def cost(self, spot_share: float) -> Array:
        """In hours of on-demand capacity, at this price of spot capacity as a share of on-demand's."""
        return spot_share * self.spot_hours + self.on_demand_hours


@one_thread()
def simulate_runs(
    policy: str, terms: RunTerms, model: PoolModel, *, samples: int = SAMPLES, seed: int = 0
) -> SimulatedRuns:
    """Play a policy on so many pools.

    Raises:
        ValueError: the policy is none of ``SIMULATED``.
    """
    if policy not in SIMULATED:
        raise ValueError(f"a policy of {', '.join(SIMULATED)} can be simulated, not {policy}")
    world = _SideBySide(terms, DrawnPools(model, samples, np.random.default_rng(seed), tick_hours=terms.tick_hours))
    choose = choices(policy, terms, model)
    for tick in range(terms.ticks):
        world.begin_tick(tick)
        if not world.alive.any():
            break
        world.live_through(choose(world.standing(tick)))
    return world.ended()


class _SideBySide:
    """All samples as they go. Those that are done stand still."""

    def __init__(self, terms: RunTerms, pools: DrawnPools) -> None:
        size = pools.size
        self._terms, self._pools = terms, pools
        self._work = np.full(size, terms.work_hours, dtype=float)
        self._held = np.zeros(size, dtype=np.intp)
        self._held_ticks = np.zeros(size, dtype=np.intp)
        self._unsaved, self._starting = np.zeros(size), np.zeros(size)
        self._sums = SimulatedRuns(*(np.zeros(size) for _ in fields(SimulatedRuns)))

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        return self._work > ROUNDING_ERROR

    def begin_tick(self, tick: int) -> None:
        """Pools go on, and spot capacity in pools without any is lost."""
        if tick > 0:
            self._pools.step()
        lost = (self._held == SPOT) & ~self._pools.there & self.alive
        self._work[lost] += self._unsaved[lost]
        self._held[lost], self._held_ticks[lost], self._unsaved[lost] = NOTHING, 0, 0.0

    def standing(self, tick: int) -> Standing:
        terms = self._terms
        return Standing(
            hours_left=(terms.ticks - tick) * terms.tick_hours,
            work=self._work,
            share_done=1.0 - self._work / terms.work_hours,
            held=self._held,
            held_ticks=self._held_ticks,
            starting=self._starting,
            there=self._pools.there,
            belief=self._pools.belief,
        )

    def live_through(self, choice: npt.NDArray[np.intp]) -> None:
        terms, sums, alive, tick = self._terms, self._sums, self.alive, self._terms.tick_hours
        starts = alive & (choice != self._held)
        self._unsaved[starts], self._held_ticks[starts] = 0.0, 0
        self._starting[starts] = np.where(choice[starts] == NOTHING, 0.0, terms.restart_hours)
        self._held = np.where(alive, choice, self._held)
        holds = alive & (self._held != NOTHING)
        on_spot, on_demand = holds & (self._held == SPOT), holds & (self._held == ON_DEMAND)
        worked = np.where(holds, np.maximum(0.0, tick - self._starting), 0.0)
        self._starting = np.where(holds, np.maximum(0.0, self._starting - tick), self._starting)
        self._held_ticks[holds] += 1
        self._work -= worked
        if terms.checkpoint_interval_hours > 0:
            unsaved = np.fmod(self._unsaved + worked, terms.checkpoint_interval_hours)
            self._unsaved = np.where(on_spot, unsaved, self._unsaved)
        sums.hours[alive] += tick
        sums.spot_hours[on_spot] += tick
        sums.on_demand_hours[on_demand] += tick

    def ended(self) -> SimulatedRuns:
        """With what is left at the deadline done on demand."""
        terms, sums, late = self._terms, self._sums, self.alive
        start = np.where(self._held == ON_DEMAND, self._starting, terms.restart_hours)
        ticks = np.ceil((self._work + start) / terms.tick_hours - ROUNDING_ERROR)
        more = np.where(late, ticks * terms.tick_hours, 0.0)
        sums.on_demand_hours[:] += more
        sums.hours[:] += more
        return sums
