"""The policy contract: a pure decision from what is known now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.cost_models.estimate import Estimate
from spotwise.cost_models.offer import Offer

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)  # what the clock of availability histories counts from


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer as a policy sees it."""

    offer: Offer
    estimate: Estimate  # of the work that is left, on this offer
    available: bool | None  # None: nobody knows
    refused_at: datetime | None = None  # when this pool last preempted or refused this run
    # When an attempt of any run last found it without capacity. It is then not available, but that may have changed.
    no_capacity_at: datetime | None = None
    restart_hours: float = 0.0  # billed; from a start there until work goes on
    save_hours: float = 0.0  # billed; expected from a start there until a checkpoint is committed
    seen: AvailabilityHistory | None = None  # of spot capacity in this pool; clock: billed hours since ``EPOCH``


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
    nodes: int = 1  # that are paid for, of all hosts
    starting_hours: float = 0.0  # billed; until what the run holds works
    at_risk_hours: float = 0.0  # of work between two checkpoints
    look_hours: float = 0.0  # billed; until the policy is asked again
    share_done: float = 0.0  # of all work
    submitted_at: datetime | None = None  # None: now
    # Of on-demand work, lost by asking for spot capacity that is not there while something is held. None: two restarts.
    failed_probe_hours: float | None = None
    margin_hours: float | None = None  # billed; kept in hand against wrong predictions. None: the policy's own
    work_is_known: bool = True  # False: estimates are of one hour of work
    fruitless: int = 0  # spot machines lost since the run last kept more than before
    fruitless_hours: float = 0.0  # billed; how long the longest-lived of them lived
    checkpoint_seen: bool = True  # False: the run was never seen to keep anything

    @property
    def clock_hours(self) -> float:
        """Now in billed hours since ``EPOCH``: the clock that looks at availability are timed by."""
        return (self.now - EPOCH).total_seconds() / self.hour_s


@dataclass(frozen=True, slots=True)
class Stay:
    """Go on as it is: keep what is held."""

    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Start (or continue) on this offer."""

    offer: Offer
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Hold nothing until this moment; what is held is given up."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up: no offer can do this work on these terms."""

    reason: str


Decision = Stay | Move | Wait | Stop


class Policy(Protocol):
    """Decides where a run goes next. Pure: it keeps nothing between two calls."""

    name: str

    def decide(self, situation: Situation) -> Decision:
        """What the run does until the next look, with the reason."""
        ...
