"""An offer as all commands write it in JSON."""

from __future__ import annotations

from typing import Any

from spotwise.cost_models.offer import Offer


def offer_json(offer: Offer) -> dict[str, Any]:
    """What is bought, where, how and at which price. Stable keys; money as a decimal string."""
    return {
        "offer": offer.key,
        "cloud": offer.pool.cloud,
        "region": offer.pool.region,
        "zone": offer.pool.zone,
        "instance_type": offer.pool.instance_type,
        "accelerators": offer.accelerators(),
        "market": offer.market.value,
        "price_usd_per_hour": f"{offer.price_usd_per_hour:f}",
    }
