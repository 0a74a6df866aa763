"""The policy contract: a pure decision from what is known now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from spotwise.cost_models.estimate import Estimate
from spotwise.cost_models.offer import Offer


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer as a policy sees it."""

    offer: Offer
    estimate: Estimate  # of the work that is left, on this offer
    available: bool | None  # None: nobody knows
    refused_at: datetime | None = None  # when this pool last preempted or refused this run
    # When an attempt of any run last found it without capacity. It is then not available, but that may have changed.
    no_capacity_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """All a policy may look at."""

    now: datetime
    deadline_at: datetime | None
    hour_s: float  # wall-clock seconds of one billed hour
    candidates: tuple[Candidate, ...]
    current: Offer | None  # what the run holds
    current_age_hours: float
    money_left_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Stay:
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Start (or continue) on this offer."""

    offer: Offer
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Hold nothing until this moment."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up: no offer can do this work on these terms."""

    reason: str


Decision = Stay | Move | Wait | Stop


class Policy(Protocol):
    name: str

    def decide(self, situation: Situation) -> Decision: ...
