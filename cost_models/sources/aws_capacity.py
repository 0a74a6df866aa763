"""What EC2 says of whether spot capacity can be had now: placement scores and supportability scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log2

from ..offer import Pool
from .aws_clients import Client, members_of
from .aws_question import AwsQuestion
from .base import CapacityKind, CapacitySignal, Machine
from .concurrent_calls import CallAnswer

FEWEST_TYPES = 3  # with less, every zone scores low
MOST_REGIONS = 10  # of one request
_MOST_ZONES, _MOST_TYPES = 10, 50  # of one request for supportability
_LEVELS = {"unsupported": 0.0, "low": 1.0, "medium": 2.0, "high": 3.0}

# Which machines have a GPU, by their number of it: a request for scores needs several types of one GPU.
_TYPES_OF_GPU: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "A10G": {
        1: ("g5.xlarge", "g5.2xlarge", "g5.4xlarge", "g5.8xlarge", "g5.16xlarge"),
        4: ("g5.12xlarge", "g5.24xlarge"),
        8: ("g5.48xlarge",),
    },
    "L4": {
        1: ("g6.xlarge", "g6.2xlarge", "g6.4xlarge", "g6.8xlarge", "g6.16xlarge"),
        4: ("g6.12xlarge", "g6.24xlarge"),
        8: ("g6.48xlarge",),
    },
    "L40S": {
        1: ("g6e.xlarge", "g6e.2xlarge", "g6e.4xlarge", "g6e.8xlarge", "g6e.16xlarge"),
        4: ("g6e.12xlarge", "g6e.24xlarge"),
        8: ("g6e.48xlarge",),
    },
    "T4": {
        1: ("g4dn.xlarge", "g4dn.2xlarge", "g4dn.4xlarge", "g4dn.8xlarge", "g4dn.16xlarge"),
        4: ("g4dn.12xlarge",),
        8: ("g4dn.metal",),
    },
    "V100": {1: ("p3.2xlarge",), 4: ("p3.8xlarge",), 8: ("p3.16xlarge",)},
}


def types_to_score(machines: Sequence[Machine]) -> tuple[str, ...]:
    """The asked instance types of one GPU; where they are fewer than three, also others, of a near number of GPUs."""
    asked = dict.fromkeys(machine.instance_type for machine in machines)
    if not machines or machines[0].accelerator is None:
        return tuple(asked)
    wanted = max(1, machines[0].accelerator_count)
    by_count = _TYPES_OF_GPU.get(machines[0].accelerator, {})
    nearest = sorted(by_count, key=lambda count: abs(log2(count / wanted)))
    others = [name for count in nearest for name in by_count[count] if name not in asked]
    return (*asked, *others[: max(0, FEWEST_TYPES - len(asked))])


def read_placement_scores(client: Client, question: AwsQuestion, answer: CallAnswer) -> None:
    """Adds a ranking of zones, 1 to 10, for machines with one GPU; AWS names the ten best zones only.

    Args:
        client: boto3's of EC2, of any region.
        question: at most ten regions; machines with one GPU, which all get one score, since AWS scores them together.
        answer: takes the signals, and what was left out.

    Raises:
        Exception: whatever boto3 raises.
    """
    types = types_to_score(question.machines)
    if len(types) < FEWEST_TYPES:
        answer.skipped.append(f"not asked, since AWS scores fewer than {FEWEST_TYPES} instance types low everywhere")
        return
    pages = client.get_paginator("get_spot_placement_scores").paginate(
        InstanceTypes=list(types),
        TargetCapacity=question.size,
        SingleAvailabilityZone=True,
        RegionNames=list(question.regions),
        PaginationConfig={"PageSize": 10},
    )
    left_out = Counter[str]()
    for page in pages:
        for score in members_of(page, "SpotPlacementScores"):
            region, zone, value = score.get("Region"), score.get("AvailabilityZoneId"), score.get("Score")
            if region not in question.regions or not zone:
                left_out[f"no zone of {', '.join(question.regions)}"] += 1
            elif not isinstance(value, int) or not 1 <= value <= 10:
                left_out["no score from 1 to 10"] += 1
            else:
                answer.rows.extend(
                    CapacitySignal(
                        Pool("aws", region, zone, machine.instance_type),
                        CapacityKind.PLACEMENT_SCORE,
                        float(value),
                        question.size,
                        question.now,
                    )
                    for machine in question.machines
                )
        if not answer.deadline.left_s:
            break
    answer.skipped.extend(f"{count} left out: {why}" for why, count in sorted(left_out.items()))


def has_supportability(client: Client) -> bool:
    """Whether this boto3 is new enough for the call."""
    return hasattr(client, "get_capacity_manager_supportability_scores")


def read_supportability(
    client: Client, region_of_zone: Mapping[str, str], question: AwsQuestion, answer: CallAnswer
) -> None:
    """Adds how well each type and zone can support so many spot machines now; one request.

    Args:
        client: boto3's of EC2 in the region where the account has turned Capacity Manager on.
        region_of_zone: regions by zone id; the first ten are asked for.
        question: the first fifty instance types are asked for.
        answer: takes the signals, and what was left out.

    Raises:
        Exception: whatever boto3 raises. Most accounts' support plans do not have this call.
    """
    zones, types = list(region_of_zone)[:_MOST_ZONES], question.instance_types[:_MOST_TYPES]
    said = client.get_capacity_manager_supportability_scores(
        MarketType="spot",
        CapacityAmount=question.size,
        CapacityUnit="instances",
        CapacityAvailabilityZoneIds=zones,
        InstanceTypes=list(types),
    )
    for score in members_of(said, "CapacityManagerSupportabilityScores"):
        zone, level = score.get("AvailabilityZoneId"), _LEVELS.get(score.get("Score"))
        if zone not in zones or score.get("InstanceType") not in types or level is None:
            answer.skipped.append(f"left out: {zone} {score.get('InstanceType')} {score.get('Score')}"[:80])
            continue
        pool = Pool("aws", region_of_zone[zone], zone, score["InstanceType"])
        answer.rows.append(CapacitySignal(pool, CapacityKind.SUPPORTABILITY, level, question.size, question.now))
