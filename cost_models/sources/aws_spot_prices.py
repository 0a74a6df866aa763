"""Spot prices as EC2 tells them: change points by zone, each in force until the next one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..money import price_of
from ..offer import Market, Pool
from .aws_clients import Client, members_of
from .aws_question import AwsQuestion, in_utc
from .base import Quote
from .concurrent_calls import CallAnswer

_LINUX = frozenset({"Linux/UNIX", "Linux/UNIX (Amazon VPC)"})
_PAGE = 1000


def read_spot_prices(client: Client, region: str, question: AwsQuestion, answer: CallAnswer) -> None:
    """Adds the price in force now in each zone of a region where EC2 tells one.

    Raises:
        Exception: whatever boto3 raises; the prices of the pages before it are there.
    """
    now = question.now
    changes: list[Quote] = []
    for page in spot_price_changes(client, region, question.instance_types, answer, start=now, end=now):
        changes += page
        answer.rows[:] = prices_in_force(changes, now).values()  # should a later page fail
    late = sum(change.at > now for change in changes)
    if late:
        answer.skipped.append(f"{late} prices begin after this machine's present; is its clock behind?")


def prices_in_force(changes: Iterable[Quote], moment: datetime) -> Mapping[Pool, Quote]:
    """Of each pool the last change at or before ``moment``; pools whose changes all come later have no price then."""
    found: dict[Pool, Quote] = {}
    for change in changes:
        known = found.get(change.pool)
        if change.at <= moment and (known is None or known.at <= change.at):
            found[change.pool] = change
    return found


def spot_price_changes(
    client: Client,
    region: str,
    instance_types: Sequence[str],
    answer: CallAnswer,
    *,
    start: datetime,
    end: datetime,
) -> Iterator[list[Quote]]:
    """Every change of Linux machines' spot prices from ``start`` to ``end``, and the last one before it, by page.

    Args:
        client: boto3's of EC2 in ``region``.
        instance_types: of which machines.
        answer: takes what was left out, and why.
        start: aware; EC2 keeps 90 days.
        end: aware.

    Raises:
        Exception: whatever boto3 raises. What has been given until then is right.
    """
    pages = client.get_paginator("describe_spot_price_history").paginate(
        StartTime=in_utc(start),
        EndTime=in_utc(end),
        InstanceTypes=list(instance_types),
        ProductDescriptions=["Linux/UNIX"],
        PaginationConfig={"PageSize": _PAGE},
    )
    wanted, left_out, zone_ids = frozenset(instance_types), Counter[str](), _ZoneIds(client)
    try:
        for page in pages:  # the first one may be empty, with more to come
            records = [
                record
                for record in members_of(page, "SpotPriceHistory")
                if record.get("InstanceType") in wanted and record.get("ProductDescription") in _LINUX
            ]
            changes = (_change(record, region, zone_ids, left_out) for record in records)
            yield [change for change in changes if change is not None]
            if not answer.deadline.left_s:
                break
    finally:
        answer.skipped.extend(f"{count} records left out: {why}" for why, count in sorted(left_out.items()))


def _change(record: Mapping[str, Any], region: str, zone_ids: _ZoneIds, left_out: Counter[str]) -> Quote | None:
    name, at = record.get("AvailabilityZone"), record.get("Timestamp")
    price = price_of(record.get("SpotPrice"))
    fault = None
    if price is None:
        fault = f"{record.get('SpotPrice', 'nothing')!r:.40} is no price"
    elif not isinstance(at, datetime):
        fault = "no time"
    elif name and not name.startswith(region):
        fault = f"{name} is not in {region}"
    else:
        zone = record.get("AvailabilityZoneId") or (zone_ids.of(name) if name else None)
        if zone:
            return Quote(Pool("aws", region, zone, record["InstanceType"]), Market.SPOT, price, in_utc(at))
        fault = "no zone id"
    left_out[fault] += 1
    return None


class _ZoneIds:
    """What an account's zone names (``us-east-1a``) mean: the ids that are the same for everybody, asked for once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._by_name: dict[str, str] | None = None

    def of(self, name: str) -> str | None:
        if self._by_name is None:
            zones = self._client.describe_availability_zones().get("AvailabilityZones", ())
            self._by_name = {
                zone["ZoneName"]: zone["ZoneId"] for zone in zones if zone.get("ZoneName") and zone.get("ZoneId")
            }
        return self._by_name.get(name)
