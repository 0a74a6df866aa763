"""HTTP to a cloud's metadata server: an address that belongs to the machine, and is never reached through a proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from spotwise.checkpoints.errors import CheckpointError

_MOST_BYTES = 1 << 20  # of an answer; real ones have less than a thousandth


class MetadataError(CheckpointError):
    """The metadata server cannot be asked, or its answer cannot be understood. It may be able to tell later."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind  # the same for faults that one log line is enough for


@dataclass(frozen=True, slots=True)
class Reply:
    """What a metadata server answered."""

    path: str  # that was asked for
    status: int
    text: str
    etag: str | None

    def ok(self) -> str:
        """The text of a good answer. Raises ``MetadataError`` for every status but 200."""
        if self.status != 200:
            raise MetadataError(f"status {self.status}", f"{self.path} was answered with HTTP status {self.status}")
        return self.text


class MetadataServer:
    """One server. ``close()``, from any thread, cuts short what is being asked and refuses what would be."""

    def __init__(self, base: str, *, connect_s: float, answer_s: float) -> None:
        self._base = base  # "http://host[:port]"
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._lock = threading.Lock()  # guards the two below
        self._socket: socket.socket | None = None
        self._closed = False

    def ask(self, path: str, headers: Mapping[str, str], *, method: str = "GET", patience_s: float = 0.0) -> Reply:
        """One request on a connection of its own; ``patience_s`` is how much longer than usual its answer may take.

        Raises ``MetadataError`` where no whole answer came.
        """
        try:
            return self._ask(method, path, headers, self._answer_s + patience_s)
        except (OSError, HTTPException, ValueError) as fault:  # ValueError: the address, or the text's encoding
            message = f"{self._base}{path} gave no answer ({type(fault).__name__}: {fault})"
            raise MetadataError(type(fault).__name__, message) from fault

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._socket is not None:
                with suppress(OSError):  # it may have ended by itself
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], answer_s: float) -> Reply:
        connection = self._connection()
        try:
            connection.connect()
            self._hold(connection.sock, answer_s)
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            text = answer.read(_MOST_BYTES).decode()
            return Reply(path, answer.status, text, answer.headers.get("ETag"))
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        """``HTTPConnection`` heeds no proxy variable, and metadata must never be sent to a proxy."""
        parts = urlsplit(self._base)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("not of the form http://host:port")
        return HTTPConnection(parts.hostname, parts.port, timeout=self._connect_s)

    def _hold(self, connected: socket.socket, answer_s: float) -> None:
        connected.settimeout(answer_s)
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("closed")
            self._socket = connected
