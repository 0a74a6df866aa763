"""Google's advice, machine types and billing catalog as a REST server on this machine's loopback address."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.cloud import billing_v1, compute_v1  # noqa: F401 - loaded first: on a busy machine it outlasts time limits

Answer = tuple[int, bytes]  # status and body; status 0: the connection hangs; -1: half of the body
Reply = Callable[[dict[str, Any]], Answer]

CAPACITY, HISTORY = "advice/capacity", "advice/capacityHistory"
MACHINES, ACCELERATORS, SKUS = "aggregated/machineTypes", "aggregated/acceleratorTypes", "skus"
HANGS, HALF = 0, -1
REGION = "us-central1"  # the only one


def body(value: Any, status: int = 200) -> Reply:
    return lambda _: (status, json.dumps(value).encode())


def error(status: int, message: str = "no") -> Reply:
    return body({"error": {"code": status, "message": message, "status": "X"}}, status)


def raw(text: str, status: int = 200) -> Reply:
    return lambda _: (status, text.encode())


def in_turn(*replies: Reply) -> Reply:
    """Each in turn, then the last one for good."""
    waiting = list(replies)

    def reply(asked: dict[str, Any]) -> Answer:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(asked)

    return reply


def no_google_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that nobody has logged in from."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", os.devnull)
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)


class GoogleServer:
    """Answers the paths that end as named, by version of the service; keeps what it was asked."""

    def __init__(self, v1: Mapping[str, Reply], beta: Mapping[str, Reply]) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._over = threading.Event()
        self._everywhere: Reply | None = None
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self._answer(json.loads(self.rfile.read(length) or b"{}"))

            def do_GET(self) -> None:
                self._answer({})

            def _answer(self, asked: dict[str, Any]) -> None:
                path = self.path.partition("?")[0]
                world.asked.append((self.path, asked))
                if world._everywhere is not None:
                    self._send(*world._everywhere(asked))
                    return
                if "/regions/" in path and f"/regions/{REGION}/" not in path:
                    self._send(*error(404, "no such region")(asked))
                    return
                replies = beta if "/compute/beta/" in path else v1
                reply = next((replies[end] for end in replies if path.endswith(f"/{end}")), error(404, "no such path"))
                self._send(*reply(asked))

            def _send(self, status: int, text: bytes) -> None:
                if status == HANGS:
                    world._over.wait()
                    return
                self.send_response(200 if status == HALF else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text[: len(text) // 2] if status == HALF else text)
                if status == HALF:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def paths(self, end: str) -> list[str]:
        return [path for path, _ in self.asked if path.partition("?")[0].endswith(f"/{end}")]

    def answer_all(self, reply: Reply | None) -> None:
        """From now on to everything; None: to each path its own again."""
        self._everywhere = reply

    def close(self) -> None:
        self._over.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def google_server(v1: Mapping[str, Reply], beta: Mapping[str, Reply] | None = None) -> Iterator[GoogleServer]:
    server = GoogleServer(v1, beta or {})
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def advice(zone: str = "us-central1-a", obtainability: float | None = 0.8, uptime: str = "3600s") -> dict[str, Any]:
    scores: dict[str, Any] = {"estimatedUptime": uptime} if uptime else {}
    if obtainability is not None:
        scores["obtainability"] = obtainability
    address = f"https://www.googleapis.com/compute/v1/projects/p/zones/{zone}"
    shard = {"zone": address, "machineType": "a2-highgpu-1g", "instanceCount": 1, "provisioningModel": "SPOT"}
    return {"recommendations": [{"scores": scores, "shards": [shard]}]}


def day(number: int, rate: float | None, year: str = "2026-11") -> dict[str, Any]:
    interval = {"startTime": f"{year}-{number:02d}T07:00:00Z", "endTime": f"{year}-{number + 1:02d}T07:00:00Z"}
    return {"interval": interval, **({} if rate is None else {"preemptionRate": rate})}


def price(start: str, units: int, nanos: int, currency: str = "USD", end: str = "") -> dict[str, Any]:
    money: dict[str, Any] = {"currencyCode": currency, "nanos": nanos}
    if units:
        money["units"] = str(units)
    return {"interval": {"startTime": start, **({"endTime": end} if end else {})}, "listPrice": money}


def sku(
    description: str, usd: float, usage: str = "OnDemand", unit: str = "h", regions: tuple[str, ...] = ("us-central1",)
) -> dict[str, Any]:
    nanos = round(usd % 1 * 1_000_000_000)
    money = {"currencyCode": "USD", "units": str(int(usd)), "nanos": nanos}
    expression = {"usageUnit": unit, "tieredRates": [{"startUsageAmount": 0, "unitPrice": money}]}
    return {
        "description": description,
        "category": {"resourceFamily": "Compute", "resourceGroup": "X", "usageType": usage},
        "serviceRegions": list(regions),
        "pricingInfo": [{"effectiveTime": "2026-11-01T00:00:00Z", "pricingExpression": expression}],
    }


A2_SKUS = [
    sku("A2 Instance Core running in Americas", 0.03),
    sku("A2 Instance Ram running in Americas", 0.004, unit="GiBy.h"),
    sku("Nvidia Tesla A100 GPU running in Americas", 2.9),
    sku("Spot Preemptible A2 Instance Core running in Americas", 0.01, "Preemptible"),
    sku("Spot Preemptible A2 Instance Ram running in Americas", 0.001, "Preemptible", "GiBy.h"),
    sku("Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Americas", 1.5, "Preemptible"),
]


def machine_types(name: str, cpus: int, memory_mib: int, *zones: str) -> dict[str, Any]:
    kind = {"name": name, "guestCpus": cpus, "memoryMb": memory_mib}
    return {"items": {f"zones/{zone}": {"machineTypes": [kind]} for zone in zones}}


def answers_all() -> dict[str, Reply]:
    """One A2 machine in one zone, with everything told of it."""
    history = {
        "preemptionHistory": [day(27, 0.25), day(28, 0.5)],
        "priceHistory": [price("2026-11-20T07:00:00Z", 1, 700_000_000)],
    }
    return {
        CAPACITY: body(advice()),
        HISTORY: body(history),
        MACHINES: body(machine_types("a2-highgpu-1g", 12, 85 * 1024, "us-central1-a")),
        SKUS: body({"skus": A2_SKUS}),
    }
