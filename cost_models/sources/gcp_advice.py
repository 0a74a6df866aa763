"""Google's advice on spot capacity: the questions, and what the answers state. Neither asks nor reads the time.

Presence is asked for each number: an absent one reads 0.0 in the client's objects, and a day without a preemption
rate would look like the safest day of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ..offer import Market
from .base import CapacityKind, CapacitySignal, HazardKind, HazardWitness, Quote, Row
from .gcp_machines import ACCELERATOR_TYPES, MachineInRegion, attaches_gpus, last_part, region_of
from .gcp_money import duration_hours, fraction, usd, utc

SPOT = "SPOT"  # enum fields are plain strings in this client: a member raises TypeError


def capacity_question(place: MachineInRegion, zone: str, size: int) -> Any:
    """Can ``size`` machines be had in ``zone`` (empty: in any one of the region), and for how long? The body."""
    from google.cloud import compute_v1

    selection = compute_v1.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection(
        machine_types=[place.machine.instance_type], guest_accelerators=_attached(place)
    )
    return compute_v1.CapacityAdviceRequest(
        size=size,
        distribution_policy=compute_v1.CapacityAdviceRequestDistributionPolicy(
            target_shape="ANY_SINGLE_ZONE",
            zones=[
                compute_v1.CapacityAdviceRequestDistributionPolicyZoneConfiguration(zone=f"zones/{zone}")
                for zone in filter(None, [zone])
            ],
        ),
        instance_properties=compute_v1.CapacityAdviceRequestInstanceProperties(
            scheduling=compute_v1.CapacityAdviceRequestInstancePropertiesScheduling(provisioning_model=SPOT)
        ),
        instance_flexibility_policy=compute_v1.CapacityAdviceRequestInstanceFlexibilityPolicy(
            instance_selections={"machine": selection}
        ),
    )


def history_question(place: MachineInRegion, zone: str) -> Any:
    """How was it preempted there, and what did it cost? The body."""
    from google.cloud import compute_v1

    location = {"location_policy": {"location": f"zones/{zone}"}} if zone else {}
    return compute_v1.CapacityHistoryRequest(
        instance_properties=compute_v1.CapacityHistoryRequestInstanceProperties(
            machine_type=place.machine.instance_type,
            scheduling=compute_v1.CapacityHistoryRequestInstancePropertiesScheduling(provisioning_model=SPOT),
        ),
        types=["PREEMPTION", "PRICE"],
        **location,
    )


def capacity_rows(answer: Any, place: MachineInRegion, zone: str, size: int, now: datetime) -> Iterator[Row]:
    """Obtainability and estimated uptime of each recommendation, for the zone that it names.

    The uptime comes in coarse steps and has a largest one: most run *at least* so long. It is kept as it is said.
    """
    for recommendation in answer.recommendations:
        if "scores" not in recommendation:
            continue
        scores = recommendation.scores
        pool = place.pool(_zone_of(recommendation, place, zone))
        if "obtainability" in scores and (value := fraction(scores.obtainability)) is not None:
            yield CapacitySignal(pool, CapacityKind.OBTAINABILITY, value, size, now)
        if (hours := duration_hours(scores.estimated_uptime)) is not None:
            yield HazardWitness(pool, HazardKind.ESTIMATED_UPTIME, hours, now, now + timedelta(hours=hours))


def history_rows(answer: Any, place: MachineInRegion, zone: str, now: datetime) -> Iterator[Row]:
    """The share of preempted machines of each day that is over, and the spot price in force.

    A day that is not over yet is left out: its share still moves.
    """
    pool = place.pool(zone or _inside(last_part(answer.location, "zones"), place))
    for record in answer.preemption_history:
        start, end = utc(record.interval.start_time), utc(record.interval.end_time)
        share = fraction(record.preemption_rate) if "preemption_rate" in record else None
        if share is not None and start is not None and end is not None and start < end <= now:
            yield HazardWitness(pool, HazardKind.PREEMPTED_SHARE, share, start, end)
    priced = [
        (start, price)
        for record in answer.price_history
        if (start := utc(record.interval.start_time)) is not None
        and start <= now
        and "list_price" in record
        and (price := usd(record.list_price)) is not None
    ]
    if priced:
        start, price = max(priced)
        yield Quote(pool, Market.SPOT, price, start)


def _attached(place: MachineInRegion) -> list[Any]:
    from google.cloud import compute_v1

    machine = place.machine
    if not attaches_gpus(machine):
        return []
    kind = ACCELERATOR_TYPES.get(machine.accelerator or "", "")
    return [compute_v1.AcceleratorConfig(accelerator_type=kind, accelerator_count=machine.accelerator_count)]


def _zone_of(recommendation: Any, place: MachineInRegion, asked: str) -> str:
    """The one zone of a recommendation; its scores are of the whole, so those over several are no zone's."""
    named = {_inside(last_part(shard.zone, "zones"), place) for shard in recommendation.shards} - {""}
    if len(named) > 1:
        return ""
    return named.pop() if named else asked


def _inside(zone: str, place: MachineInRegion) -> str:
    return zone if region_of(zone) == place.region else ""
