"""Requests about capacity, held against boto3's own model of EC2; and a call that older clients do not have."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from aws_server import TODAY, aws_account
from botocore.stub import Stubber

from spotwise.cost_models.offer import Pool
from spotwise.cost_models.sources.aws_capacity import has_supportability, read_placement_scores, read_supportability
from spotwise.cost_models.sources.aws_question import AwsQuestion
from spotwise.cost_models.sources.base import CapacityKind, CapacitySignal, Machine
from spotwise.cost_models.sources.concurrent_calls import CallAnswer, TimeLimit

G5 = Machine("aws", "g5.xlarge", "A10G", 1)
QUESTION = AwsQuestion((G5,), ("us-east-1",), 2, TODAY)


class NewClient:
    """A client with the call for supportability scores, as boto3 1.44 has it."""

    def __init__(self, *scores: dict[str, str]) -> None:
        self.scores, self.asked = list(scores), dict[str, Any]()

    def get_capacity_manager_supportability_scores(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"AggregateScore": "high", "CapacityManagerSupportabilityScores": self.scores}


def test_a_request_for_scores_is_one_that_ec2_s_model_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_account(monkeypatch)
    client = boto3.client("ec2", region_name="us-east-1")
    stub = Stubber(client)
    scores = [{"Region": "us-east-1", "AvailabilityZoneId": "use1-az4", "Score": 9}]
    asked = {
        "InstanceTypes": ["g5.xlarge", "g5.2xlarge", "g5.4xlarge"],
        "TargetCapacity": 2,
        "SingleAvailabilityZone": True,
        "RegionNames": ["us-east-1"],
        "MaxResults": 10,
    }
    stub.add_response("get_spot_placement_scores", {"SpotPlacementScores": scores}, asked)
    answer = CallAnswer(TimeLimit(30))
    with stub:
        read_placement_scores(client, QUESTION, answer)
    pool = Pool("aws", "us-east-1", "use1-az4", "g5.xlarge")
    assert answer.rows == [CapacitySignal(pool, CapacityKind.PLACEMENT_SCORE, 9.0, 2, TODAY)]
    stub.assert_no_pending_responses()


def test_supportability_is_a_level_of_each_machine_and_zone_and_words_that_nobody_knows_are_none() -> None:
    client = NewClient(
        {"InstanceType": "g5.xlarge", "AvailabilityZoneId": "use1-az1", "Score": "high"},
        {"InstanceType": "g5.xlarge", "AvailabilityZoneId": "use1-az2", "Score": "unsupported"},
        {"InstanceType": "g5.xlarge", "AvailabilityZoneId": "use1-az3", "Score": "splendid"},
    )
    zones = {f"use1-az{number}": "us-east-1" for number in range(1, 13)}
    answer = CallAnswer(TimeLimit(30))
    assert has_supportability(client)
    read_supportability(client, zones, QUESTION, answer)
    assert [(row.pool.zone, row.value) for row in answer.rows] == [("use1-az1", 3.0), ("use1-az2", 0.0)]
    assert answer.skipped == ["left out: use1-az3 g5.xlarge splendid"]
    assert (client.asked["CapacityAmount"], client.asked["CapacityUnit"]) == (2, "instances")
    assert len(client.asked["CapacityAvailabilityZoneIds"]) == 10
