"""A read-only dashboard on this machine, on the standard library's HTTP server.

It has no login, so it listens on the loopback address only and answers only requests that name it so: a web page from
elsewhere cannot read it through a name that resolves to 127.0.0.1. From another machine, forward the port:
``ssh -L 8470:127.0.0.1:8470``.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from ..core.errors import InputError, SpotwiseError
from ..reports import ReportData, build_report, focus_csv, render_html, report_json
from .bounded_server import BoundedServer
from .shared_work import SharedWork

REFRESH_S = 10  # a browser loads the page again after so many seconds
_LOG = logging.getLogger(__name__)
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    content_type: str
    body: str
    filename: str = ""  # offered for download under this name


def answer(path: str, load: Callable[[], ReportData]) -> Answer:
    """What is at this path, from data loaded now."""
    page = _PAGES.get(path.partition("?")[0])
    if page is None:
        pages = ", ".join(_PAGES)
        return Answer(HTTPStatus.NOT_FOUND, "text/plain", f"nothing here; there are {pages}\n")
    try:
        return page(load())
    except SpotwiseError as error:
        _LOG.warning("the dashboard could not load its data: %s", error)
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"the report cannot be made now: {error}\n")


def _html(data: ReportData) -> Answer:
    return Answer(HTTPStatus.OK, "text/html", render_html(build_report(data), REFRESH_S))


def _json(data: ReportData) -> Answer:
    text = json.dumps(report_json(build_report(data)), indent=2, ensure_ascii=False)
    return Answer(HTTPStatus.OK, "application/json", text + "\n")


def _csv(data: ReportData) -> Answer:
    return Answer(HTTPStatus.OK, "text/csv", focus_csv(data), filename="focus.csv")


_PAGES: dict[str, Callable[[ReportData], Answer]] = {"/": _html, "/report.json": _json, "/focus.csv": _csv}


def make_server(load: Callable[[], ReportData], host: str = "127.0.0.1", port: int = 8470) -> BoundedServer:
    """A server that is bound but not yet serving; port 0 takes any free one. The caller closes it.

    Raises:
        InputError: the address is not this machine's own, or the port is taken.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise InputError(f"the dashboard has no login and listens on 127.0.0.1 only, not on {host}; reach it by ssh -L")

    class Handler(_Handler):
        answer_to = SharedWork(lambda path: answer(path, load))

    try:
        return BoundedServer((host, port), Handler)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error


def serve(load: Callable[[], ReportData], host: str = "127.0.0.1", port: int = 8470) -> None:
    """Serve until interrupted (Ctrl-C).

    Raises:
        InputError: as ``make_server``.
    """
    with make_server(load, host, port) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _LOG.info("the dashboard was stopped")


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD; the base class refuses every other method."""

    server_version = "spotwise"
    sys_version = ""
    server: BoundedServer
    answer_to: SharedWork[str, Answer]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        self.server.has_asked(self.connection)
        if self._is_local():
            found = self.answer_to(self.path.partition("?")[0])
        else:
            found = Answer(HTTPStatus.FORBIDDEN, "text/plain", "ask for 127.0.0.1 or localhost\n")
        body = found.body.encode()
        self.send_response(found.status)
        self.send_header("Content-Type", f"{found.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if found.filename:
            self.send_header("Content-Disposition", f'attachment; filename="{found.filename}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _is_local(self) -> bool:
        name = self.headers.get("Host", "")
        return name.rpartition(":")[0] in _LOCAL_NAMES or name in _LOCAL_NAMES

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        _LOG.debug(format, *args)
