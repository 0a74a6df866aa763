"""The emulated spot market: who loses a machine, and when. A pure function of seed, pool, attempt and market time.

Instances live Weibull-distributed lives, and pools go through spells without spot capacity (an alternating renewal
process), which end every instance in them. On-demand capacity is always there and never taken back. Nothing here
reads a clock or waits: the local engine's nodes act on the moments that are computed here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from spotwise.cost_models.offer import Market, Offer, Pool

from ...core.errors import EngineError


@dataclass(frozen=True, slots=True)
class Weibull:
    """Times in market hours; shape above 1: the old die first."""

    shape: float
    scale_hours: float

    @property
    def mean_hours(self) -> float:
        return self.scale_hours * math.gamma(1.0 + 1.0 / self.shape)

    def draw_hours(self, rng: Random) -> float:
        return rng.weibullvariate(self.scale_hours, self.shape)


@dataclass(frozen=True, slots=True)
class Outage:
    """Spells without spot capacity in a pool."""

    every: Weibull  # from the end of one to the start of the next
    length: Weibull


@dataclass(frozen=True, slots=True)
class MarketPool:
    """One pool: its prices, and what really happens in it."""

    pool: Pool
    accelerator: str
    accelerator_count: int
    vcpus: float
    memory_gib: float
    spot_usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal
    published_hazard_per_hour: float  # what the market's advisor states; not the truth
    provision_hours: float
    lifetime: Weibull
    outage: Outage | None


@dataclass(frozen=True, slots=True)
class EmulatedMarket:
    """Pools, prices and the process that takes machines away."""

    name: str
    seed: int
    hour_s: Decimal  # wall-clock seconds of one market hour
    grace_s: float  # wall-clock seconds from notice to kill; never scaled: programs save in real time
    pools: tuple[MarketPool, ...]
    source: str  # where the prices come from

    def offers(self) -> list[Offer]:
        """Every pool's spot and on-demand offer."""
        return [self._offer(entry, market) for entry in self.pools for market in Market]

    def entry(self, pool: Pool) -> MarketPool:
        """Raises EngineError for a pool that this market does not have."""
        for entry in self.pools:
            if entry.pool == pool:
                return entry
        known = ", ".join(str(entry.pool) for entry in self.pools)
        raise EngineError(f"market {self.name} has no pool {pool}; choose one of: {known}")

    def published_hazard_per_hour(self, pool: Pool) -> float:
        """What the market's advisor states: preemptions per market hour."""
        return self.entry(pool).published_hazard_per_hour

    def lifetime_hours(self, pool: Pool, draw: str) -> float:
        """How long this instance lives; ``draw`` names it, and the same name always lives as long."""
        return self.entry(pool).lifetime.draw_hours(Random(f"{self.seed}|{pool}|life|{draw}"))  # noqa: S311 - not secret

    def opened(self, anchor: datetime) -> OpenMarket:
        """This market with its hour zero at ``anchor``."""
        spells = {entry.pool: Spells(entry.outage, f"{self.seed}|{entry.pool}|spells") for entry in self.pools}
        return OpenMarket(self, anchor, spells)

    def _offer(self, entry: MarketPool, market: Market) -> Offer:
        spot = market is Market.SPOT
        return Offer(
            pool=entry.pool,
            market=market,
            price_usd_per_hour=entry.spot_usd_per_hour if spot else entry.on_demand_usd_per_hour,
            on_demand_usd_per_hour=entry.on_demand_usd_per_hour,
            accelerator=entry.accelerator,
            accelerator_count=entry.accelerator_count,
            vcpus=entry.vcpus,
            memory_gib=entry.memory_gib,
            source=f"emulated market {self.name}; {self.source}",
        )


class Spells:
    """A pool's spells with and without spot capacity, from hour 0 on; capacity first. Drawn as far as asked."""

    def __init__(self, outage: Outage | None, seed: str) -> None:
        self._outage = outage
        self._rng = Random(seed)  # noqa: S311 - not secret
        self._turns: list[float] = []  # ends of the spells, in hours: 1st with capacity, 2nd without, 3rd with, ...

    def is_up(self, hours: float) -> bool:
        return self._index(hours) % 2 == 0

    def ends_at(self, hours: float) -> float:
        """When the spell that this moment lies in ends; infinite if never."""
        index = self._index(hours)
        return self._turns[index] if index < len(self._turns) else math.inf

    def _index(self, hours: float) -> int:
        while self._outage is not None and (not self._turns or self._turns[-1] <= hours):
            spell = self._outage.length if len(self._turns) % 2 else self._outage.every
            self._turns.append((self._turns[-1] if self._turns else 0.0) + spell.draw_hours(self._rng))
        return bisect_right(self._turns, hours)


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """A market on the wall clock."""

    market: EmulatedMarket
    anchor: datetime
    _spells: dict[Pool, Spells] = field(repr=False)

    def available(self, pool: Pool, at: datetime) -> bool:
        """Whether spot capacity can be had in this pool at this moment."""
        return self._spells[pool].is_up(self._hours(at))

    def capacity_at(self, pool: Pool, asked_at: datetime) -> datetime:
        """When a machine asked for now is up, if the pool still has capacity then."""
        return asked_at + self._wall(self.market.entry(pool).provision_hours)

    def spell_ends_at(self, pool: Pool, at: datetime) -> datetime | None:
        """When the spell that ``at`` lies in ends; None if never."""
        return self._moment(self._spells[pool].ends_at(self._hours(at)))

    def preemption_at(self, pool: Pool, draw: str, asked_at: datetime) -> datetime | None:
        """When a spot machine asked for at ``asked_at`` gets its notice; None if never.

        The end of its life, counted from when it is up, or of the spell with capacity that it was asked for in. A
        notice before the machine is up means that it never comes up.
        """
        life = self._wall(self.market.lifetime_hours(pool, draw))
        spell_ends = self.spell_ends_at(pool, asked_at)
        dies = self.capacity_at(pool, asked_at) + life
        return dies if spell_ends is None else min(dies, spell_ends)

    def _hours(self, at: datetime) -> float:
        """Market hours since the anchor. A clock that was set back behind the anchor reads hour 0."""
        return max(0.0, (at - self.anchor).total_seconds() / float(self.market.hour_s))

    def _wall(self, hours: float) -> timedelta:
        return timedelta(seconds=hours * float(self.market.hour_s))

    def _moment(self, hours: float) -> datetime | None:
        return None if math.isinf(hours) else self.anchor + self._wall(hours)
