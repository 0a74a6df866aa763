"""Offers: capacity one can buy, and the pools that preemption statistics are kept under."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

_NAMED_BY_PEOPLE = frozenset({"slurm", "kubernetes", "ssh"})


class Market(StrEnum):
    """How capacity is bought."""

    SPOT = "spot"  # cheap, and may be taken back at any moment
    ON_DEMAND = "on_demand"  # full price, ours until we end it


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """Key of preemption statistics: instances of one type in one zone come and go together."""

    cloud: str
    region: str
    zone: str  # "" where the cloud has no zones
    instance_type: str
    accelerators: str = ""  # "T4:1", only where the instance type leaves them open, as GCP's n1 does

    def __str__(self) -> str:
        machine = f"{self.instance_type}+{self.accelerators}" if self.accelerators else self.instance_type
        return f"{self.cloud}/{self.place}/{machine}"

    @property
    def place(self) -> str:
        """A zone's name says its region, except where people name both: a Slurm cluster and its partition."""
        if self.cloud in _NAMED_BY_PEOPLE and self.region and self.zone:
            return f"{self.region}/{self.zone}"
        return self.zone or self.region


@dataclass(frozen=True, slots=True)
class Offer:
    """Capacity one can buy now: a pool, a market and a price per hour for one node."""

    pool: Pool
    market: Market
    price_usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal | None  # same instance, on demand: what savings are counted against
    accelerator: str | None = None  # "T4"; None for machines without
    accelerator_count: int = 0
    vcpus: float = 0.0
    memory_gib: float = 0.0
    source: str = ""  # where price and hazard come from, with its date
    unsupported: frozenset[str] = frozenset()  # what is known not to be had there: see `features`
    read_at: datetime | None = field(default=None, compare=False)  # UTC: when the source said so; None: not known

    @property
    def key(self) -> str:
        """Stable name of this offer: ``cloud/zone/instance_type/market``."""
        return f"{self.pool}/{self.market.value}"

    @property
    def is_spot(self) -> bool:
        """Whether the market may take it back."""
        return self.market is Market.SPOT

    def accelerators(self) -> str:
        """The accelerators as SkyPilot writes them, such as ``T4:1``; empty without any."""
        return f"{self.accelerator}:{self.accelerator_count}" if self.accelerator else ""
