"""The account's own spot interruptions over its own instance-hours, as EC2's Capacity Manager counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from ..offer import Pool
from .aws_clients import Client, members_of
from .aws_question import AwsQuestion, in_utc
from .base import HazardKind, HazardWitness
from .concurrent_calls import CallAnswer

_INTERRUPTIONS, _HOURS = "spot-total-interruptions-inst", "spot-total-usage-hrs-inst"
_PERIOD = timedelta(days=1)  # of one figure; whole hours, and the window a multiple of it
_WINDOW = 30 * _PERIOD


@dataclass(slots=True)
class _Count:
    interruptions: float
    hours: float
    start: datetime
    end: datetime


def read_own_interruptions(client: Client, question: AwsQuestion, answer: CallAnswer) -> None:
    """Adds a count for each pool in which the account had spot instances in the last thirty days.

    Args:
        client: boto3's of EC2 in the region where the account has turned Capacity Manager on; it knows all regions.
        question: which pools.
        answer: takes the witnesses, and what was left out.

    Raises:
        Exception: whatever boto3 raises; the counts of the pages before it are there.
    """
    end = question.now.replace(minute=0, second=0, microsecond=0)
    pages = client.get_paginator("get_capacity_manager_metric_data").paginate(
        MetricNames=[_INTERRUPTIONS, _HOURS],
        StartTime=end - _WINDOW,
        EndTime=end,
        Period=int(_PERIOD.total_seconds()),
        GroupBy=["resource-region", "availability-zone-id", "instance-type"],
    )
    counts, left_out = dict[Pool, _Count](), Counter[str]()
    try:
        for page in pages:
            for result in members_of(page, "MetricDataResults"):
                pool = _pool(result.get("Dimension", {}))
                if (
                    pool is not None
                    and pool.region in question.regions
                    and pool.instance_type in question.instance_types
                ):
                    _add(counts, pool, result, left_out)
            if not answer.deadline.left_s:
                break
    finally:  # counts of some of the days are right, of those days
        answer.rows.extend(
            HazardWitness(pool, HazardKind.OWN_INTERRUPTIONS, each.interruptions, each.start, each.end, each.hours)
            for pool, each in counts.items()
        )
        answer.skipped.extend(f"{count} days left out: {why}" for why, count in sorted(left_out.items()))


def _pool(dimension: Mapping[str, Any]) -> Pool | None:
    region, zone = dimension.get("ResourceRegion"), dimension.get("AvailabilityZoneId")
    instance_type = dimension.get("InstanceType")
    return Pool("aws", region, zone, instance_type) if region and zone and instance_type else None


def _add(counts: dict[Pool, _Count], pool: Pool, result: Mapping[str, Any], left_out: Counter[str]) -> None:
    """A day counts where both figures are there: one that is absent is not zero."""
    values = {value.get("Metric"): value.get("Value") for value in result.get("MetricValues", ())}
    interruptions, hours, at = values.get(_INTERRUPTIONS), values.get(_HOURS), result.get("Timestamp")
    if hours == 0 and not interruptions:
        return  # no instance that day
    if interruptions is None or hours is None or not isinstance(at, datetime):
        left_out["a figure is absent"] += 1
        return
    if not (isfinite(interruptions) and isfinite(hours) and interruptions >= 0 and hours > 0):
        left_out["no count over hours"] += 1
        return
    start = in_utc(at)
    known = counts.setdefault(pool, _Count(0.0, 0.0, start, start + _PERIOD))
    known.interruptions += interruptions
    known.hours += hours
    known.start, known.end = min(known.start, start), max(known.end, start + _PERIOD)
