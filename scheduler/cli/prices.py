"""Offers with what is believed of them: `spotwise prices`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from spotwise.cost_models.hazard import HazardBelief, published_belief
from spotwise.cost_models.offer import Offer
from spotwise.cost_models.selection import reject_reason
from spotwise.cost_models.sources.sheet import load_sheet

from ..execution.context import App
from ..planning.market_snapshot import gather
from ..planning.past_attempts import read_past_attempts


@dataclass(frozen=True, slots=True)
class PricedOffer:
    """An offer and what is believed about its preemptions."""

    offer: Offer
    belief: HazardBelief | None  # None: on demand
    available: bool | None


def priced_offers(app: App, accelerators: str | None, *, sheet: bool) -> list[PricedOffer]:
    """The engine's offers, or the shipped sheet's, cheapest first."""
    if sheet:
        found = [PricedOffer(o, published_belief(o.pool) if o.is_spot else None, None) for o in load_sheet()]
    else:
        engine, now, cooldown = app.engine(app.settings.engine), app.clock.now(), app.settings.cooldown_hours
        past = read_past_attempts(app.store, engine.hour_s, now, cooldown)
        known = gather(engine, past, app.settings.overheads, now, cooldown_hours=cooldown)
        found = [
            PricedOffer(o, known.beliefs.get(o.pool) if o.is_spot else None, known.available.get(o.key))
            for o in known.offers
        ]
    wanted = {"accelerators": accelerators} if accelerators else None
    fitting = [priced for priced in found if reject_reason(priced.offer, wanted) is None]
    return sorted(fitting, key=lambda priced: (priced.offer.price_usd_per_hour, priced.offer.key))


def print_prices(found: list[PricedOffer], console: Console) -> None:
    """A row for each offer, with what is believed of it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("offer", "accelerators", "market"):
        table.add_column(name, no_wrap=True)
    for name in ("USD/h", "preemptions/h", "now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold")
    for priced in found:
        offer, belief = priced.offer, priced.belief
        table.add_row(
            str(offer.pool),
            offer.accelerators(),
            offer.market.value.replace("_", "-"),
            f"{offer.price_usd_per_hour:.4f}",
            "" if belief is None else f"{belief.mean_per_hour:.4f}",
            {True: "yes", False: "no", None: ""}[priced.available],
            offer.source if belief is None else f"{offer.source}; {belief.source}",
        )
    console.print(table)


def prices_json(found: list[PricedOffer]) -> list[dict[str, Any]]:
    """Stable keys; money as decimal strings."""
    return [
        {
            "offer": priced.offer.key,
            "cloud": priced.offer.pool.cloud,
            "region": priced.offer.pool.region,
            "zone": priced.offer.pool.zone,
            "instance_type": priced.offer.pool.instance_type,
            "accelerators": priced.offer.accelerators(),
            "market": priced.offer.market.value,
            "price_usd_per_hour": str(priced.offer.price_usd_per_hour),
            "preemptions_per_hour": None if priced.belief is None else priced.belief.mean_per_hour,
            "available": priced.available,
            "source": priced.offer.source,
        }
        for priced in found
    ]
