"""What is known about the market when a decision is made, gathered from the engine, the price data and the store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import Hazard, HazardBelief, published_belief
from spotwise.cost_models.offer import Offer, Pool
from spotwise.cost_models.throughput import relative_speed

from .engines.base import Engine
from .ledger import billed_hours
from .run import Attempt, AttemptState, CostBasis


@dataclass(frozen=True)
class Knowledge:
    """All that a plan or a placement is computed from."""

    offers: tuple[Offer, ...]
    available: Mapping[str, bool]  # by offer key; missing: unknown
    beliefs: Mapping[Pool, HazardBelief]
    overheads: Overheads
    hour_s: Decimal  # wall-clock seconds of one billed hour
    cost_basis: CostBasis
    one_machine: bool  # whatever the offer, all runs on this machine: at its speed, as one node

    def hazard(self, offer: Offer) -> Hazard:
        return self.beliefs[offer.pool].hazard() if offer.is_spot else Hazard.none()

    def rate_events(self, offer: Offer) -> float:
        """How many preemptions the hazard of an offer is known from, the prior's included."""
        return self.beliefs[offer.pool].events if offer.is_spot else math.inf

    def speed(self, offer: Offer, reference: str | None) -> float | None:
        """How many times faster than the reference; None if nothing was ever measured."""
        if self.one_machine or reference is None or reference == offer.accelerator:
            return 1.0
        if offer.accelerator is None:
            return None
        speed = relative_speed(offer.accelerator, reference)
        return None if speed is None else speed.factor

    def nodes(self, wanted: int) -> int:
        """How many nodes a job that wants this many gets, and pays."""
        return 1 if self.one_machine else wanted

    def with_overhead(self, hours_per_attempt: float | None) -> Knowledge:
        """The same with a measured overhead in place of the assumed one; None: nothing was measured yet."""
        if hours_per_attempt is None:
            return self
        return replace(self, overheads=replace(self.overheads, provision_hours=0.0, restore_hours=hours_per_attempt))


def gather(engine: Engine, attempts: Sequence[Attempt], overheads: Overheads, now: datetime) -> Knowledge:
    """Ask the engine, and add what this installation has seen of each pool."""
    offers = tuple(engine.offers())
    pools = {offer.pool for offer in offers if offer.is_spot}
    return Knowledge(
        offers=offers,
        available=engine.available(),
        beliefs={pool: _updated(_published(engine, pool), pool, attempts, now) for pool in pools},
        overheads=overheads,
        hour_s=engine.hour_s,
        cost_basis=engine.cost_basis,
        one_machine=engine.one_machine,
    )


def exposure(pool: Pool, attempts: Iterable[Attempt], now: datetime) -> tuple[int, float]:
    """Preemptions and spot hours that this installation has seen in a pool."""
    mine = [a for a in attempts if a.offer.is_spot and a.offer.pool == pool and a.state is not AttemptState.REFUSED]
    hours = sum(float(billed_hours(a.launched_at, max(a.ended_at or now, a.launched_at), a.hour_s)) for a in mine)
    return sum(a.state is AttemptState.PREEMPTED for a in mine), hours


def _published(engine: Engine, pool: Pool) -> HazardBelief:
    return engine.stated_belief(pool) or published_belief(pool)


def _updated(belief: HazardBelief, pool: Pool, attempts: Iterable[Attempt], now: datetime) -> HazardBelief:
    return belief.updated(*exposure(pool, attempts, now))
