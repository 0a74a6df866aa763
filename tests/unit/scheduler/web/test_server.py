"""The dashboard over a real socket: fresh, read-only, for this machine only."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sample_report import BASE, sample_data

from spotwise.scheduler.core.errors import InputError, StoreError
from spotwise.scheduler.reports import ReportData
from spotwise.scheduler.web import make_server


@contextmanager
def dashboard(load: Callable[[], ReportData]) -> Iterator[http.client.HTTPConnection]:
    with make_server(load, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        host, port = server.server_address[:2]
        try:
            yield http.client.HTTPConnection(str(host), port, timeout=10)
        finally:
            server.shutdown()
            thread.join()


def get(connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, response.headers["Content-Type"] or "", response.read().decode()


@pytest.mark.parametrize(
    ("path", "content_type", "start"),
    [
        ("/", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/?again=1", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/report.json", "application/json; charset=utf-8", "{"),
        ("/focus.csv", "text/csv; charset=utf-8", "AvailabilityZone,BilledCost"),
    ],
)
def test_three_pages(path: str, content_type: str, start: str) -> None:
    with dashboard(sample_data) as connection:
        status, found_type, body = get(connection, path)
    assert (status, found_type) == (200, content_type)
    assert body.startswith(start)


@pytest.mark.parametrize("path", ["/favicon.ico", "/../etc/passwd", "/report.html", "/focus.csv/"])
def test_anything_else_is_not_found(path: str) -> None:
    with dashboard(sample_data) as connection:
        assert get(connection, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(method: str) -> None:
    with dashboard(sample_data) as connection:
        assert get(connection, "/", method)[0] == 501


def test_every_request_loads_anew() -> None:
    """A run that appears is on the next page."""
    answers = iter([ReportData(now=BASE), sample_data()])
    with dashboard(lambda: next(answers)) as connection:
        first, second = (json.loads(get(connection, "/report.json")[2]) for _ in range(2))
    assert (len(first["sections"]), len(second["sections"])) == (0, 1)


def test_the_page_refreshes_itself() -> None:
    with dashboard(sample_data) as connection:
        assert 'http-equiv="refresh" content="10"' in get(connection, "/")[2]


def test_head_has_no_body() -> None:
    with dashboard(sample_data) as connection:
        assert get(connection, "/", "HEAD") == (200, "text/html; charset=utf-8", "")


def test_a_store_that_cannot_be_read_is_said_and_the_next_request_works() -> None:
    """The message stands on the page; the server stays up."""
    failing = iter([True, False])

    def load() -> ReportData:
        if next(failing):
            raise StoreError("the store is locked; try again")
        return sample_data()

    with dashboard(load) as connection:
        status, _, body = get(connection, "/")
        assert (status, "the store is locked; try again" in body) == (503, True)
        assert get(connection, "/")[0] == 200


def test_a_foreign_name_is_refused() -> None:
    """A web page whose name resolves to 127.0.0.1 must not read the report."""
    with dashboard(sample_data) as connection:
        assert get(connection, "/", Host="evil.example:8321")[0] == 403
        assert get(connection, "/", Host="localhost:8321")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7"])  # noqa: S104 - that it refuses to
def test_it_listens_on_the_loopback_address_only(host: str) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1 only"):
        make_server(sample_data, host, 0)


def test_a_taken_port_is_said() -> None:
    with make_server(sample_data, port=0) as server, pytest.raises(InputError, match="choose another port"):
        make_server(sample_data, port=server.server_address[1])
