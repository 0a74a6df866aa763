"""What is known about the market when a decision is made, gathered from the engine, the price data and the store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import Hazard, HazardBelief, published_belief
from spotwise.cost_models.offer import Offer, Pool
from spotwise.cost_models.throughput import OwnSpeed, Speed, relative_speed

from ..core.pool_exposure import PoolExposure
from ..core.run import Attempt, AttemptState, CostBasis
from ..engines.base import Engine
from ..node_agent.end_cause import EndCause
from .availability_history import availability_histories
from .past_attempts import PastAttempts

_AS_FAST = Speed(1.0, 0.0, "the same accelerator")


@dataclass(frozen=True)
class MarketSnapshot:
    """All that a plan or a placement is computed from."""

    offers: tuple[Offer, ...]
    available: Mapping[str, bool]  # by offer key; missing: unknown
    beliefs: Mapping[Pool, HazardBelief]
    overheads: Overheads
    hour_s: Decimal  # wall-clock seconds of one billed hour
    cost_basis: CostBasis
    one_machine: bool  # whatever the offer, all runs on this machine: at its speed, as one node
    # By offer key: not stated by the engine but found by an attempt, so less certain. `available` is False there.
    no_capacity_at: Mapping[str, datetime] = field(default_factory=dict)
    seen: Mapping[Pool, AvailabilityHistory] = field(
        default_factory=dict
    )  # spot capacity, by the attempts of this installation

    @property
    def restart_hours(self) -> float:
        """From a start until work goes on."""
        return self.overheads.provision_hours + self.overheads.restore_hours

    def hazard(self, offer: Offer) -> Hazard:
        return self.beliefs[offer.pool].hazard() if offer.is_spot else Hazard.none()

    def rate_events(self, offer: Offer) -> float:
        """How many preemptions the hazard of an offer is known from, the prior's included."""
        return self.beliefs[offer.pool].events if offer.is_spot else math.inf

    def speed(
        self, offer: Offer, reference: str | None, *, family: str | None = None, own: tuple[OwnSpeed, ...] = ()
    ) -> Speed | None:
        """How many times faster than the reference, and how well that is known; None: nobody can tell.

        ``family`` and ``own`` as in `relative_speed`.
        """
        if self.one_machine or reference is None or reference == offer.accelerator:
            return _AS_FAST
        return (
            None if offer.accelerator is None else relative_speed(offer.accelerator, reference, family=family, own=own)
        )

    def nodes(self, wanted: int) -> int:
        """How many nodes a job that wants this many gets, and pays."""
        return 1 if self.one_machine else wanted

    def with_overhead(self, hours_per_attempt: float | None) -> MarketSnapshot:
        """The same with a measured overhead in place of the assumed one; None: nothing was measured yet."""
        if hours_per_attempt is None:
            return self
        return replace(self, overheads=replace(self.overheads, provision_hours=0.0, restore_hours=hours_per_attempt))

    def with_refusals(self, attempts: Iterable[Attempt], now: datetime, cooldown_hours: float) -> MarketSnapshot:
        """The same, where offers that refused lately are not available; what the engine states counts more."""
        stated = {key: there for key, there in self.available.items() if key not in self.no_capacity_at}
        # Nothing that an emulated market said counts for a real one, and nothing of attempts that we gave up ourselves.
        here = [a for a in attempts if a.cost_basis is self.cost_basis and not _tells_no_capacity(a)]
        found = without_capacity(here, now, timedelta(seconds=cooldown_hours * float(self.hour_s)))
        found = {key: at for key, at in found.items() if key not in stated}
        available = {**stated, **dict.fromkeys(found, False)}
        return replace(self, available=available, no_capacity_at=found, seen=availability_histories(here, now))


def gather(
    engine: Engine, past: PastAttempts, overheads: Overheads, now: datetime, *, cooldown_hours: float
) -> MarketSnapshot:
    """Ask the engine, and add what this installation has seen of each pool, and of each offer's capacity."""
    offers = tuple(engine.offers())
    pools = {offer.pool for offer in offers if offer.is_spot}
    stated = MarketSnapshot(
        offers=offers,
        available=engine.available(),
        beliefs={pool: _updated(_published(engine, pool), past.exposures.get(pool)) for pool in pools},
        overheads=overheads,
        hour_s=engine.hour_s,
        cost_basis=engine.cost_basis,
        one_machine=engine.one_machine,
    )
    return stated.with_refusals(past.recent, now, cooldown_hours)


def without_capacity(attempts: Iterable[Attempt], now: datetime, cooldown: timedelta) -> dict[str, datetime]:
    """When each offer was last found without capacity: less than the cooldown ago, and nothing came up there since."""
    refused: dict[str, datetime] = {}
    came_up: dict[str, datetime] = {}
    for attempt in attempts:
        key, at = attempt.offer.key, attempt.launched_at
        if _tells_no_capacity(attempt):
            continue
        if attempt.state is AttemptState.REFUSED:
            refused[key] = max(refused.get(key, at), attempt.ended_at or at)
        elif attempt.started_at is not None:
            came_up[key] = max(came_up.get(key, at), at)
    return {key: at for key, at in refused.items() if now - at < cooldown and not came_up.get(key, at) > at}


def _tells_no_capacity(attempt: Attempt) -> bool:
    """Whether its end says nothing of capacity: given up by us, or refused for what it asked for."""
    return attempt.end_cause in (EndCause.WITHDRAWN, EndCause.NOT_OFFERED)


def _published(engine: Engine, pool: Pool) -> HazardBelief:
    return engine.stated_belief(pool) or published_belief(pool)


def _updated(belief: HazardBelief, seen: PoolExposure | None) -> HazardBelief:
    return belief if seen is None else belief.updated(seen.preemptions, seen.hours)
