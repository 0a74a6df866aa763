"""Many requests at once, silent ones and slow ones: the dashboard answers, and keeps nothing for ever."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sample_report import BASE

from spotwise.scheduler.reports import ReportData
from spotwise.scheduler.web import bounded_server, make_server
from spotwise.scheduler.web.shared_work import SharedWork

PATIENCE_S = 20
ASK = b"GET /report.json HTTP/1.0\r\nHost: localhost\r\n\r\n"


@contextmanager
def dashboard(load: Callable[[], ReportData] = lambda: ReportData(now=BASE)) -> Iterator[tuple[str, int]]:
    with make_server(load, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE_S)


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said = b""
    while more := connection.recv(65_536):
        said += more
    return said


def test_200_requests_at_once_are_all_answered() -> None:
    with dashboard() as address, ExitStack() as stack:
        connections = [stack.enter_context(connect(address)) for _ in range(200)]
        for connection in connections:
            connection.sendall(ASK)
        answers = [rest_of(connection) for connection in connections]
    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.0 200 OK"}


def test_who_asks_while_others_wait_shares_the_next_piece_of_work() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(key: str) -> int:
        done.append(key)
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return len(done)

    shared, results = SharedWork(work), []
    threads = [threading.Thread(target=lambda: results.append(shared("page"))) for _ in range(20)]
    threads[0].start()
    assert begun.wait(PATIENCE_S)
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while "page" not in shared._to_begin and time.monotonic() < deadline:
        time.sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert results.count(1) == 1, "what had begun before they asked is not for them"
    assert len(done) < 20


def test_a_fault_of_shared_work_reaches_all_who_share_it_and_no_later_one() -> None:
    faults = [ValueError("broken")]

    def work(key: str) -> str:
        if faults:
            raise faults.pop()
        return key

    shared = SharedWork(work)
    with pytest.raises(ValueError, match="broken"):
        shared("page")
    assert shared("page") == "page"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.0\r\nHost: local"], ids=["silent", "cut off"])
def test_a_connection_that_does_not_ask_is_closed(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(bounded_server, "REQUEST_S", 0.1)
    with dashboard() as address, connect(address) as connection:
        connection.sendall(said)
        assert b"200 OK" not in rest_of(connection)


def test_a_request_that_comes_byte_by_byte_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; all of them never."""
    monkeypatch.setattr(bounded_server, "REQUEST_S", 0.2)
    with dashboard() as address, connect(address) as connection:
        deadline = time.monotonic() + PATIENCE_S
        with pytest.raises(OSError):
            while time.monotonic() < deadline:
                connection.sendall(b"G")
                time.sleep(0.02)


def test_beyond_what_it_can_hold_it_refuses_at_once_and_serves_again_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_server, "MOST_CONNECTIONS", 2)
    with dashboard() as address:
        with connect(address), connect(address), connect(address) as third:
            third.sendall(ASK)
            refused = rest_of(third)
        assert refused.startswith(b"HTTP/1.0 503 ")
        assert b"Retry-After: 1" in refused
        deadline = time.monotonic() + PATIENCE_S
        while _status(address) != 200:
            assert time.monotonic() < deadline


def _status(address: tuple[str, int]) -> int:
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    connection.request("GET", "/report.json")
    return connection.getresponse().status
