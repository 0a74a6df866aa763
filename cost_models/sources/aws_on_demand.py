"""On-demand prices from AWS' price list: one for a whole region."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..money import price_of
from ..offer import Market, Pool
from .aws_clients import Client, members_of
from .aws_question import AwsQuestion, in_utc
from .base import Quote
from .concurrent_calls import CallAnswer

# A plain Linux machine that nobody shares a licence or a reservation with. The price list has some twenty other kinds.
_PLAIN = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Listed:
    region: str
    currency: str
    text: str  # the price
    effective: datetime | None


def price_list_region(region: str) -> str:
    """Where the price list of a region's partition is asked for: it is kept in few places."""
    return "cn-northwest-1" if region.startswith("cn-") else "us-east-1"


def read_on_demand_prices(client: Client, instance_type: str, question: AwsQuestion, answer: CallAnswer) -> None:
    """Adds the price per hour in each region; its pool has no zone, since it holds in all of them.

    Args:
        client: boto3's of ``pricing``.
        instance_type: which machine's.
        question: where and when; a price that begins later is none yet.
        answer: takes the quotes, and what was left out.

    Raises:
        Exception: whatever boto3 raises.
    """
    filters = {"instanceType": instance_type, **_PLAIN}
    if len(question.regions) == 1:
        filters["regionCode"] = question.regions[0]
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonEC2",
        Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
        PaginationConfig={"PageSize": _PAGE},
    )
    left_out, best = Counter[str](), dict[str, Quote]()
    try:
        for page in pages:
            for text in members_of(page, "PriceList"):
                for quote in _quotes(text, instance_type, question, left_out):
                    known = best.get(quote.pool.region)
                    if known is None or _order(known) < _order(quote):
                        best[quote.pool.region] = quote
            answer.rows[:] = best.values()  # should a later page fail
            if not answer.deadline.left_s:
                break
    finally:
        answer.skipped.extend(f"{count} prices left out: {why}" for why, count in sorted(left_out.items()))


def _order(quote: Quote) -> tuple[datetime, Decimal]:
    """The latest list price is in force; of two at once the higher one, for nobody may be charged more than planned."""
    return quote.at, quote.usd_per_hour


def _quotes(text: str, instance_type: str, question: AwsQuestion, left_out: Counter[str]) -> Iterator[Quote]:
    try:
        found = list(_listed(json.loads(text), instance_type))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        left_out["unreadable"] += 1
        return
    for listed in found:
        at = listed.effective or question.now
        if listed.region not in question.regions or at > question.now:
            continue
        price = price_of(listed.text)
        if listed.currency != "USD":
            left_out[f"in {listed.currency:.10}, not in USD"] += 1
        elif price is None:
            left_out[f"{listed.text!r:.40} is no price"] += 1
        else:
            pool = Pool("aws", listed.region, "", instance_type)
            yield Quote(pool, Market.ON_DEMAND, price, at)


def _listed(product: Mapping[str, Any], instance_type: str) -> Iterator[_Listed]:
    """What a product of the price list costs an hour; nothing where it is another machine than was asked for.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not built as AWS builds them.
    """
    attributes = product["product"]["attributes"]
    asked = {"instanceType": instance_type, "locationType": "AWS Region", **_PLAIN}
    if any(attributes.get(name, value) != value for name, value in asked.items()):
        return
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] in ("Hrs", "Hours"):
                for currency, text in dimension["pricePerUnit"].items():
                    yield _Listed(attributes["regionCode"], currency, text, _moment(term.get("effectiveDate")))


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    return in_utc(datetime.fromisoformat(text))
