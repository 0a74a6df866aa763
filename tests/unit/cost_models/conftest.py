"""Factories for offers; each test names only what it is about."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from spotwise.cost_models.offer import Market, Offer, Pool

MakeOffer = Callable[..., Offer]


@pytest.fixture(scope="session")
def make_offer() -> MakeOffer:
    def make(
        place: str = "aws/us-east-1/use1-az1",
        instance_type: str = "g4dn.xlarge",
        accelerators: str = "T4:1",
        *,
        market: Market = Market.SPOT,
        price: str = "1.00",
        vcpus: float = 4,
        memory_gib: float = 16,
    ) -> Offer:
        name, _, count = accelerators.partition(":")
        cloud, region, zone = place.split("/")
        return Offer(
            pool=Pool(cloud, region, zone, instance_type),
            market=market,
            price_usd_per_hour=Decimal(price),
            on_demand_usd_per_hour=None,
            accelerator=name or None,
            accelerator_count=int(count or 0),
            vcpus=vcpus,
            memory_gib=memory_gib,
        )

    return make
