"""What the program prints, passed on to where the platform's own log finds it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

_CHUNK = 1 << 18  # bytes held at a time, however much is printed
_POLL_S = 0.2


class Output(threading.Thread):
    """Follows the attempt's log. A thread of its own: a reader that stalls must keep nothing else from being seen."""

    def __init__(self, log: Path, descriptor: int | None = None) -> None:
        """``descriptor``: the descriptor that is written to; this process' standard output."""
        super().__init__(name="output", daemon=True)
        self._log, self._passed_on = log, 0
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._over = threading.Event()

    def run(self) -> None:
        while True:
            was_over = self._over.is_set()  # asked first: what was printed before must not be missed
            try:
                data = self._next()
                self._write(data)
            except OSError:
                return  # nobody reads any more; the log itself has everything
            if not data and was_over:
                return
            if not data:
                self._over.wait(_POLL_S)

    def finish(self, longest_s: float) -> None:
        """Pass on the rest; give up where nobody takes it."""
        self._over.set()
        self.join(longest_s)

    def _next(self) -> bytes:
        try:
            with self._log.open("rb") as log:
                log.seek(self._passed_on)
                return log.read(_CHUNK)
        except FileNotFoundError:
            return b""

    def _write(self, data: bytes) -> None:
        self._passed_on += len(data)
        while data:
            data = data[os.write(self._descriptor, data) :]
