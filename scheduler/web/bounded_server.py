"""An HTTP server with bounds: so many connections at once, and so long for each; who comes too much is told at once."""

from __future__ import annotations

import logging
import socket
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

MOST_CONNECTIONS = 256  # at once, each with a thread of its own
REQUEST_S = 10.0  # until a request must have arrived whole, however slowly its bytes come
WRITE_S = 10.0  # until an answer must have been taken
_log = logging.getLogger(__name__)
_REFUSAL = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\ntoo many connections at once; ask again\n"
)


class BoundedServer(ThreadingHTTPServer):
    """Closes connections that say nothing, or too slowly, and refuses those beyond what it can hold."""

    request_queue_size = 512  # that wait to be accepted: a queue that is full lets clients wait for seconds

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._reading: dict[socket.socket, float] = {}  # when each must have said what it wants
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            is_full = len(self._open) >= MOST_CONNECTIONS
            if not is_full:
                self._open.add(request)
                self._reading[request] = time.monotonic() + REQUEST_S
        if is_full:
            _refuse(request)
            self.shutdown_request(request)
        else:
            request.settimeout(WRITE_S)
            super().process_request(request, client_address)

    def has_asked(self, request: socket.socket) -> None:
        """The request has arrived: what is left to do is ours."""
        with self._lock:
            self._reading.pop(request, None)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
            self._reading.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of ours, and nothing for standard error."""
        if isinstance(sys.exc_info()[1], OSError):
            _log.debug("a client of the dashboard went away", exc_info=True)
        else:
            super().handle_error(request, client_address)

    def service_actions(self) -> None:
        """Called twice a second: end what has been silent, or slow, for too long."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._reading.items() if now > until]
        for request in late:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)  # its thread reads the end


def _refuse(request: socket.socket) -> None:
    with suppress(OSError):
        request.setblocking(False)
        request.send(_REFUSAL)
        request.recv(65_536)  # what was asked and nobody read would reset the connection before the answer is seen
