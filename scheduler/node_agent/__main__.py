"""Entry point of the agent: one process a node; a second one for the same attempt leaves at once."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from typing import IO

from spotwise.checkpoints.errors import CheckpointError

from .agent import Agent
from .place import Place
from .runner import NodeClock
from .task import StorageNotSeenError

EXIT_BROKEN = 78  # EX_CONFIG of BSD's sysexits.h: a configuration that cannot be used


def main() -> int:
    """Run the agent; returns its exit code."""
    logging.basicConfig(format="[spotwise] %(message)s", level=logging.WARNING)
    try:
        place = Place.from_env(os.environ)
        lock = _lock(place)
        if lock is None:
            print("[spotwise] this attempt runs already: nothing to do", flush=True)
            return 0
        return Agent(place, place.task(), os.environ, NodeClock()).run()
    except (CheckpointError, OSError) as error:
        print(f"[spotwise] {error}", file=sys.stderr, flush=True)
        if isinstance(error, StorageNotSeenError):
            print(error.report.to_line(), file=sys.stderr, flush=True)  # there is no other way to tell the scheduler
        return EXIT_BROKEN


def _lock(place: Place) -> IO[str] | None:
    """Held until this process ends; None while another agent of the same node of the attempt holds it."""
    place.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = place.lock.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


if __name__ == "__main__":
    sys.exit(main())
