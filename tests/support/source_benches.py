"""Sources of prices with clouds of their own on this machine, for the suite that all sources run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from aws_server import aws_account, aws_server
from google_server import (
    HALF,
    HANGS,
    Reply,
    answers_all,
    body,
    day,
    error,
    google_server,
    no_google_credentials,
    price,
    raw,
    sku,
)
from source_faults import Fault

from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.aws_clients import boto3_clients
from spotwise.cost_models.sources.base import Machine, Source, SourceQuery
from spotwise.cost_models.sources.gcp import GcpSource


@dataclass(frozen=True)
class SourceBench:
    """A source, and what can be done to its cloud."""

    source: Source
    query: SourceQuery  # which the cloud can answer; with time enough
    unreachable: Source  # the same, where nobody listens
    nowhere: str  # a region that the cloud does not have
    breaks: Callable[[Fault], None]  # from now on, for all that is asked
    mends: Callable[[], None]


@contextmanager
def aws_bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceBench]:
    aws_account(monkeypatch)
    with aws_server() as server:

        def breaks(fault: Fault) -> None:
            if fault is Fault.BAD_NUMBERS:
                server.bad_numbers()
            else:
                server.break_all(fault)

        yield SourceBench(
            source=AwsSource(("us-east-1",), clients=boto3_clients(server.url, requests=1)),
            query=SourceQuery((Machine("aws", "g5.xlarge", "A10G", 1),), limit_s=60),
            unreachable=AwsSource(("us-east-1",), clients=boto3_clients("http://127.0.0.1:9", requests=1)),
            nowhere="us-nowhere-9",
            breaks=breaks,
            mends=server.faults.clear,
        )


@contextmanager
def gcp_bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceBench]:
    no_google_credentials(monkeypatch)
    with google_server(answers_all()) as server:
        yield SourceBench(
            source=GcpSource("p", ("us-central1",), server.url),
            query=SourceQuery((Machine("gcp", "a2-highgpu-1g", "A100", 1),), limit_s=60),
            unreachable=GcpSource("p", ("us-central1",), "http://127.0.0.1:9"),
            nowhere="mars-north1",
            breaks=lambda fault: server.answer_all(_GOOGLE[fault]),
            mends=lambda: server.answer_all(None),
        )


BENCHES: Mapping[str, Callable[[pytest.MonkeyPatch], AbstractContextManager[SourceBench]]] = {
    "aws": aws_bench,
    "gcp": gcp_bench,
}

_GOOGLE: Mapping[Fault, Reply | None] = {
    Fault.REFUSED: None,
    Fault.FORBIDDEN: error(403),
    Fault.NOT_FOUND: error(404),
    Fault.THROTTLED: error(429),
    Fault.UNAVAILABLE: error(503),
    Fault.EMPTY: raw(""),
    Fault.GARBAGE: raw("<html>sign in</html>"),
    Fault.CUT: lambda _: (HALF, b'{"skus": [{"description": "A2 Instance"}]}'),
    Fault.HANGS: lambda _: (HANGS, b""),
    Fault.BAD_NUMBERS: body(
        {
            "skus": [sku("A2 Instance Core running in Americas", 0.0)],
            "preemptionHistory": [day(28, None), day(27, -1)],
            "priceHistory": [price("2026-11-20T07:00:00Z", -1, 0), price("2026-11-21T07:00:00Z", 0, 0)],
            "recommendations": [{"scores": {"obtainability": "NaN", "estimatedUptime": "-1s"}}],
        }
    ),
}
