"""EC2 and AWS' price list on this machine's loopback address, as far as a source of prices asks them."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.loaders
import pytest
from receivers import serving
from s3_server import environment
from source_faults import Fault

EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
TODAY = datetime(2026, 11, 30, 12, tzinfo=UTC)
Parameters = Mapping[str, str]


def spot_record(
    instance_type: str = "g5.xlarge", zone: str = "use1-az1", price: str = "0.5000", **more: str
) -> dict[str, str]:
    """A change point of a spot price, in EC2's words."""
    return {
        "instanceType": instance_type,
        "productDescription": "Linux/UNIX",
        "spotPrice": price,
        "timestamp": "2026-11-30T11:00:00.000Z",
        "availabilityZone": "us-east-1a",
        "availabilityZoneId": zone,
        **more,
    }


def product(price: str = "1.0060000000", region: str = "us-east-1", **more: Any) -> str:
    """A product of the price list with its on-demand term, as AWS writes it: JSON in a text."""
    attributes = {
        "instanceType": "g5.xlarge",
        "regionCode": region,
        "locationType": "AWS Region",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        **more.get("attributes", {}),
    }
    dimension = {"unit": more.get("unit", "Hrs"), "pricePerUnit": {more.get("currency", "USD"): price}}
    term = {"effectiveDate": more.get("effective", "2026-11-01T00:00:00Z"), "priceDimensions": {"A.B.C": dimension}}
    return json.dumps({"product": {"attributes": attributes}, "terms": {"OnDemand": {"A.B": term}}})


def metric(interruptions: float | str | None = 2.0, hours: float | str | None = 48.0, **more: str) -> dict[str, Any]:
    """A day of one pool in Capacity Manager; None leaves a figure out."""
    values = {"spot-total-interruptions-inst": interruptions, "spot-total-usage-hrs-inst": hours}
    return {
        "dimension": {
            "resourceRegion": more.get("region", "us-east-1"),
            "availabilityZoneId": more.get("zone", "use1-az1"),
            "instanceType": more.get("instance_type", "g5.xlarge"),
        },
        "timestamp": more.get("at", "2026-11-29T00:00:00.000Z"),
        "metricValueSet": [
            {"metric": name, "value": str(value)} for name, value in values.items() if value is not None
        ],
    }


@dataclass
class AwsServer:
    """What it answers can be changed at any time; it keeps what it was asked."""

    url: str = ""
    spot_pages: list[list[dict[str, str]]] = field(default_factory=lambda: [[], [spot_record()]])
    products: list[list[str]] = field(default_factory=lambda: [[product()]])
    scores: list[dict[str, str]] = field(
        default_factory=lambda: [{"region": "us-east-1", "availabilityZoneId": "use1-az1", "score": "7"}]
    )
    metrics: list[dict[str, Any]] = field(default_factory=lambda: [metric()])
    zones: list[dict[str, str]] = field(
        default_factory=lambda: [{"zoneName": "us-east-1a", "zoneId": "use1-az1", "regionName": "us-east-1"}]
    )
    faults: dict[str, Fault | tuple[int, str]] = field(default_factory=dict)  # by action; or a status and a code
    faulty_from: int = 0  # pages before this one are answered without fault
    faulty_times: float = float("inf")  # requests that have the fault; the next ones have not
    asked: dict[str, list[Parameters]] = field(default_factory=lambda: defaultdict(list))
    released: threading.Event = field(default_factory=threading.Event)  # lets what hangs end

    def fault_of(self, action: str, page: int) -> Fault | tuple[int, str] | None:
        """The fault of this request, if it has one."""
        fault = self.faults.get(action)
        if fault is None or page < self.faulty_from or self.faulty_times <= 0:
            return None
        self.faulty_times -= 1
        return _REFUSALS.get(fault, {}).get(action == "GetProducts", fault)

    def answer(self, action: str, page: int) -> bytes:
        """The content of an answer without fault."""
        if action == "GetProducts":
            return json.dumps({"PriceList": self.products[page], **_next(page, self.products, "NextToken")}).encode()
        contents = {
            "DescribeSpotPriceHistory": {
                "spotPriceHistorySet": self.spot_pages[page],
                **_next(page, self.spot_pages, "nextToken"),
            },
            "GetSpotPlacementScores": {"spotPlacementScoreSet": self.scores},
            "GetCapacityManagerMetricData": {"metricDataResultSet": self.metrics},
            "DescribeAvailabilityZones": {"availabilityZoneInfo": self.zones},
        }
        return f'<{action}Response xmlns="{EC2}">{_xml(contents[action])}</{action}Response>'.encode()

    def break_all(self, fault: Fault) -> None:
        """From now on all that is asked has the fault."""
        self.faults.update(dict.fromkeys(_ACTIONS, fault))

    def bad_numbers(self) -> None:
        """From now on no number that it says is one."""
        bad = ("NaN", "-1", "0", "0.0000", "Infinity", "1e400", "", "free", "-0")
        self.spot_pages = [[spot_record(price=price, zone=f"use1-az{n}") for n, price in enumerate(bad)]]
        self.products = [[product(price) for price in bad]]
        self.scores = [
            {"region": "us-east-1", "availabilityZoneId": "use1-az1", "score": score} for score in ("0", "11", "-1")
        ]
        self.metrics = [
            metric(*pair) for pair in (("NaN", 1.0), (-1.0, 2.0), (1.0, 0.0), (1.0, "NaN"), (None, 5.0), (1.0, None))
        ]


_ACTIONS = (
    "DescribeSpotPriceHistory",
    "GetProducts",
    "GetSpotPlacementScores",
    "GetCapacityManagerMetricData",
    "DescribeAvailabilityZones",
)
# By whether it is the price list that answers: EC2 has other words.
_REFUSALS = {
    Fault.FORBIDDEN: {False: (403, "UnauthorizedOperation"), True: (400, "AccessDeniedException")},
    Fault.NOT_FOUND: {False: (404, "NotFound"), True: (404, "NotFoundException")},
    Fault.THROTTLED: {False: (503, "RequestLimitExceeded"), True: (400, "ThrottlingException")},
    Fault.UNAVAILABLE: {False: (503, "Unavailable"), True: (503, "InternalErrorException")},
}


def _refusal(action: str, code: str) -> bytes:
    if action == "GetProducts":
        return json.dumps({"__type": code, "message": f"This is {code}."}).encode()
    error = {"Code": code, "Message": f"This is {code}."}
    return f"<Response><Errors><Error>{_xml(error)}</Error></Errors></Response>".encode()


def _next(page: int, pages: list[Any], name: str) -> dict[str, str]:
    return {name: str(page + 1)} if page + 1 < len(pages) else {}


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return "".join(f"<item>{_xml(each)}</item>" for each in value)
    return escape(value)


@contextmanager
def aws_server() -> Iterator[AwsServer]:
    """A server that runs until the end of the block; its faults are set by ``faults``, one an action."""
    aws = AwsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            target = self.headers.get("X-Amz-Target", "")
            parameters = json.loads(body) if target else dict(parse_qsl(body))
            action = target.rpartition(".")[2] or parameters["Action"]
            page = int(parameters.get("NextToken", "0"))
            aws.asked[action].append(parameters)
            content, fault = aws.answer(action, page), aws.fault_of(action, page)
            if fault is None:
                self.say(200, content)
            elif isinstance(fault, tuple):
                self.say(fault[0], _refusal(action, fault[1]))
            elif fault is Fault.HANGS:
                aws.released.wait(60)
            elif fault is Fault.CUT:
                self.say(200, content[: len(content) // 2], length=len(content))
            else:
                self.say(200, b"" if fault is Fault.EMPTY else b"<html>Welcome to the hotel</html>")

        def say(self, status: int, content: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with serving(server):
            yield aws
    finally:
        aws.released.set()


@cache
def _loader(_: str | None = None) -> Any:
    return botocore.loaders.Loader(include_default_search_paths=True)


def aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, and nothing of this machine's own account."""
    monkeypatch.setattr("botocore.session.create_loader", _loader)  # EC2's model is read once for all tests
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {**environment(""), "AWS_ENDPOINT_URL": None}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
