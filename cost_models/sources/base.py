"""What every source of prices, capacity and hazards answers, and what it must never do.

A source is asked for some machines and answers with a `Reading`: quotes, signals of capacity and witnesses of
preemptions, each stamped with the time that it holds for. It never raises for what a network, an account or a cloud
does: the reading says then why it was skipped. It never waits longer than it was given. What is absent stays absent:
a missing number is neither zero nor free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from ..offer import Market, Pool


@dataclass(frozen=True, slots=True, order=True)
class Machine:
    """An instance type to ask for."""

    cloud: str
    instance_type: str
    accelerator: str | None = None
    accelerator_count: int = 0


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """What is asked of a source."""

    machines: tuple[Machine, ...]
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by cloud; none: the source's own choice
    size: int = 1  # machines at once: capacity is asked for so many
    limit_s: float = 20.0  # the whole reading takes no longer


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that a cloud asks, for one node and hour."""

    pool: Pool
    market: Market
    usd_per_hour: Decimal  # positive
    at: datetime  # UTC; in force since then (a change point), or read then where the cloud does not say


class CapacityKind(StrEnum):
    """What a number about capacity means. They are not comparable with each other."""

    PLACEMENT_SCORE = "placement_score"  # AWS: 1-10, a ranking of zones for one request, no promise
    SUPPORTABILITY = "supportability"  # AWS: 3 several times the request, 2 just enough, 1 too little, 0 unsupported
    OBTAINABILITY = "obtainability"  # Google: 0-1, for the asked size at this moment


@dataclass(frozen=True, slots=True)
class CapacitySignal:
    """What a cloud says of whether capacity can be had now."""

    pool: Pool
    kind: CapacityKind
    value: float
    size: int  # machines that were asked for
    at: datetime


class HazardKind(StrEnum):
    """What a cloud's word about preemptions is a statement of."""

    ESTIMATED_UPTIME = "estimated_uptime"  # hours; most live at least so long: a bound, never a mean life
    PREEMPTED_SHARE = "preempted_share"  # 0-1; of all that stopped in a day, over all customers: not per hour
    OWN_INTERRUPTIONS = "own_interruptions"  # count, over ``exposure_hours`` of this account's own instances
    BAND = "band"  # 0-1; share of instances interrupted in a month


@dataclass(frozen=True, slots=True)
class HazardWitness:
    """One statement about preemptions in a pool."""

    pool: Pool
    kind: HazardKind
    value: float
    start: datetime
    end: datetime
    exposure_hours: float | None = None  # instance-hours behind a count


Row = Quote | CapacitySignal | HazardWitness


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source said, and when. ``skipped`` says why it said nothing, or not all."""

    source: str  # for people: "AWS spot price history"
    read_at: datetime
    rows: tuple[Row, ...] = ()
    skipped: tuple[str, ...] = ()  # reasons for people; empty: it answered everything


class Source(Protocol):
    """One source. Its constructor takes settings and a client that can be pointed anywhere."""

    name: str  # "aws", "gcp", "sheet", "skypilot", "prices"

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """Ask for all of ``query``. Never raises for what the outside does; ends within ``query.limit_s``."""
