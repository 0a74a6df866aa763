"""Prices as people read them, and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.joined_prices import SourcedCapacity, SourcedPrice, SourcedWitness

from ..planning.offer_json import offer_json
from ..planning.price_sources import SourceAnswer, ago, answer_json
from .prices import FoundPrices, PricedOffer
from .responsive_table import ResponsiveTable, stacked

_MASS = 0.8  # of a belief about the hazard, between the 10th and the 90th percentile
_AVAILABLE = {True: "yes", False: "no", None: ""}
_CAPACITY = {"placement_score": "{value:.0f} of 10", "obtainability": "{value:.2f} of 1"}


def print_prices(found: FoundPrices, console: Console) -> None:
    """A row for each offer, with what is believed and said of it; then what sources did not say, and why."""
    if found.are_sourced:
        console.print(ResponsiveTable(_wide(found), _narrow(found)))
        for answer in found.answers:
            _print_answer(answer, console)
    else:
        console.print(_listed(found))
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, style="yellow")


def prices_json(found: FoundPrices) -> dict[str, Any]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC."""
    offers = [_offer_json(priced) for priced in found.offers]
    notes = {"notes": list(found.notes)} if found.notes else {}
    if not found.are_sourced:
        return {"offers": offers, **notes}
    return {"offers": offers, "sources": [answer_json(answer) for answer in found.answers], **notes}


def _listed(found: FoundPrices) -> Table:
    """Without sources: list prices and beliefs."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("offer", "accelerators", "market"):
        table.add_column(name, no_wrap=True)
    for name in ("USD/h", "preemptions/h", "now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold")
    for priced in found.offers:
        offer, belief = priced.offer, priced.belief
        table.add_row(
            str(offer.pool),
            offer.accelerators(),
            _market(priced),
            f"{offer.price_usd_per_hour:.4f}",
            _per_hour(belief),
            _AVAILABLE[priced.available],
            offer.source if belief is None else f"{offer.source}; {belief.source}",
        )
    return table


def _wide(found: FoundPrices) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("offer", "accelerators", "market"):
        table.add_column(name, no_wrap=True)
    for name in ("USD/h", "read", "capacity", "preemptions/h"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold", min_width=30)
    for priced in found.offers:
        table.add_row(
            str(priced.offer.pool),
            priced.offer.accelerators(),
            _market(priced),
            f"{priced.offer.price_usd_per_hour:.4f}",
            _age(priced.joined.price, found.now),
            _capacity(priced.joined.capacity),
            _per_hour(priced.belief),
            _said(priced),
        )
    return table


def _narrow(found: FoundPrices) -> Table:
    """Two lines an offer or more: who says so stands below."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(stacked("offer", "source"), overflow="fold")
    for above, below in (("market", "USD/h"), ("read", "capacity"), ("pre-", "empt./h")):
        table.add_column(stacked(above, below), justify="right", no_wrap=True)
    for priced in found.offers:
        name = f"{priced.offer.pool} {priced.offer.accelerators()}"
        table.add_row(
            stacked(name, Text(_said(priced), style="dim")),
            stacked(_market(priced), f"{priced.offer.price_usd_per_hour:.4f}"),
            stacked(_age(priced.joined.price, found.now), _capacity(priced.joined.capacity)),
            _per_hour(priced.belief),
        )
    return table


def _print_answer(answer: SourceAnswer, console: Console) -> None:
    rows = len(answer.reading.rows)
    said = f"{rows} {'fact' if rows == 1 else 'facts'}, {answer.age_text()}" if rows else "nothing"
    console.print(f"{answer.name}: {said}", highlight=False)
    for why in answer.reading.skipped:
        console.print(Text(f"  {answer.name}: {why}", style="yellow"))


def _said(priced: PricedOffer) -> str:
    """Who says the price; and who says another by far."""
    others = [f"{other.source} says {other.usd_per_hour:f}" for other in priced.joined.disagrees]
    witnesses = sorted({each.source for each in priced.joined.witnesses})
    return "; ".join(
        [
            priced.offer.source,
            *(f"DISAGREES: {other}" for other in others),
            *([f"preemptions: {', '.join(witnesses)}"] if witnesses else []),
        ]
    )


def _market(priced: PricedOffer) -> str:
    return priced.offer.market.value.replace("_", "-")


def _age(price: SourcedPrice, now: datetime) -> str:
    return "" if price.read_at is None else ago(now - price.read_at)


def _capacity(found: SourcedCapacity | None) -> str:
    return "" if found is None else _CAPACITY[found.signal.kind.value].format(value=found.signal.value)


def _per_hour(belief: HazardBelief | None) -> str:
    return "" if belief is None else f"{belief.mean_per_hour:.4f}"


def _offer_json(priced: PricedOffer) -> dict[str, Any]:
    offer, price = priced.offer, priced.joined.price
    capacity = priced.joined.capacity
    return {
        **offer_json(offer),
        "price_at": _iso(price.at),
        "read_at": _iso(price.read_at),
        "preemptions_per_hour": None if priced.belief is None else priced.belief.mean_per_hour,
        "available": priced.available,
        "source": offer.source,
        "capacity": None if capacity is None else _capacity_json(capacity),
        "hazard": None if priced.belief is None else _hazard_json(priced, priced.belief),
        "disagrees": [_price_json(other) for other in priced.joined.disagrees],
    }


def _price_json(price: SourcedPrice) -> dict[str, Any]:
    usd = f"{price.usd_per_hour:f}"
    return {
        "source": price.source,
        "price_usd_per_hour": usd,
        "price_at": _iso(price.at),
        "read_at": _iso(price.read_at),
    }


def _capacity_json(found: SourcedCapacity) -> dict[str, Any]:
    signal = found.signal
    return {
        "value": signal.value,
        "kind": signal.kind.value,
        "source": found.source,
        "at": signal.at.isoformat(),
        "size": signal.size,
        "zone": signal.pool.zone,
    }


def _hazard_json(priced: PricedOffer, belief: HazardBelief) -> dict[str, Any]:
    low, high = belief.interval(_MASS)
    return {
        "per_hour": belief.mean_per_hour,
        "p10": low,
        "p90": high,
        "prior": belief.source,
        "witnesses": [_witness_json(each) for each in priced.joined.witnesses],
    }


def _witness_json(found: SourcedWitness) -> dict[str, Any]:
    said = found.witness
    return {
        "kind": said.kind.value,
        "value": said.value,
        "source": found.source,
        "zone": said.pool.zone,
        "start": said.start.isoformat(),
        "end": said.end.isoformat(),
        "exposure_hours": said.exposure_hours,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
