"""Sources of prices with clouds of their own on this machine, for the suite that all sources run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from aws_server import aws_account, aws_server
from source_faults import Fault

from spotwise.cost_models.sources.aws import AwsSource
from spotwise.cost_models.sources.aws_clients import boto3_clients
from spotwise.cost_models.sources.base import Machine, Source, SourceQuery


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


BENCHES: Mapping[str, Callable[[pytest.MonkeyPatch], AbstractContextManager[SourceBench]]] = {"aws": aws_bench}
