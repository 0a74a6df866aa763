"""AWS on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from aws_server import TODAY, AwsServer, aws_account, aws_server

from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.aws_clients import boto3_clients
from spotwise.cost_models.sources.base import Machine, Reading, SourceQuery

G5 = Machine("aws", "g5.xlarge", "A10G", 1)
AskAws = Callable[..., Reading]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """EC2 and the price list, and an account."""
    aws_account(monkeypatch)
    with aws_server() as server:
        yield server


@pytest.fixture
def ask_aws(aws: AwsServer) -> AskAws:
    """A reading of the source `aws` from that server, each question asked once."""

    def ask(
        *machines: Machine, regions: tuple[str, ...] = ("us-east-1",), size: int = 1, limit_s: float = 30
    ) -> Reading:
        source = AwsSource(regions, clients=boto3_clients(aws.url, requests=1))
        return source.read(SourceQuery(machines or (G5,), size=size, limit_s=limit_s), TODAY)

    return ask
