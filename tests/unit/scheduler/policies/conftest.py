"""Situations in few words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spotwise.cost_models.estimate import Estimate, MoneyQuantiles, Quantiles
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.policies.base import Candidate, Situation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RESTART_HOURS = 0.5


def estimate(cost: float, hours: float, chance: float | None) -> Estimate:
    usd = Decimal(str(cost))
    return Estimate(
        hours=Quantiles(hours, hours, hours),
        cost_usd=MoneyQuantiles(usd, usd, usd),
        work_hours=hours - RESTART_HOURS,
        preemptions=0.0,
        chance_to_meet_deadline=chance,
        checkpoint_interval_hours=None,
        lost_work_hours=0.0,
        overhead_hours=RESTART_HOURS,
    )


@dataclass(frozen=True)
class World:
    """What a policy sees, built from short words: ``spot("a", cost=4)``."""

    candidates: tuple[Candidate, ...] = ()
    current: Offer | None = None
    current_age_hours: float = 2.0
    hours_left: float | None = None
    hour_s: float = 3600.0
    money_left_usd: Decimal | None = None

    def having(self, *candidates: Candidate) -> World:
        return replace(self, candidates=(*self.candidates, *candidates))

    def holding(self, candidate: Candidate, age_hours: float = 2.0) -> World:
        return replace(self, current=candidate.offer, current_age_hours=age_hours)

    def with_hours_left(self, hours: float) -> World:
        return replace(self, hours_left=hours)

    def with_money(self, usd: float) -> World:
        return replace(self, money_left_usd=Decimal(str(usd)))

    @property
    def situation(self) -> Situation:
        left = None if self.hours_left is None else NOW + timedelta(seconds=self.hours_left * self.hour_s)
        return Situation(
            now=NOW,
            deadline_at=left,
            hour_s=self.hour_s,
            candidates=self.candidates,
            current=self.current,
            current_age_hours=self.current_age_hours,
            money_left_usd=self.money_left_usd,
        )


CandidateFactory = Callable[..., Candidate]


def _candidate(market: Market, default_price: str) -> CandidateFactory:
    def make(
        zone: str,
        cost: float = 4.0,
        *,
        hours: float = 10.0,
        chance: float | None = 1.0,
        available: bool | None = True,
        refused_hours_ago: float | None = None,
        sold_out_hours_ago: float | None = None,
        price: str = default_price,
    ) -> Candidate:
        offer = Offer(Pool("aws", "r", zone, "gpu"), market, Decimal(price), Decimal("0.5"))
        refused = None if refused_hours_ago is None else NOW - timedelta(hours=refused_hours_ago)
        if sold_out_hours_ago is not None:  # remembered, not stated
            available, found_at = False, NOW - timedelta(hours=sold_out_hours_ago)
            return Candidate(offer, estimate(cost, hours, chance), available, refused, found_at, RESTART_HOURS)
        return Candidate(offer, estimate(cost, hours, chance), available, refused, None, RESTART_HOURS)

    return make


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def spot() -> CandidateFactory:
    return _candidate(Market.SPOT, "0.16")


@pytest.fixture
def on_demand() -> CandidateFactory:
    return _candidate(Market.ON_DEMAND, "0.5")
