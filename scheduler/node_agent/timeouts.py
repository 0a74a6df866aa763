"""How long a node waits for what. One factor makes all of it shorter, so that tests need not wait as long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from spotwise.checkpoints.errors import StorageError

Found = TypeVar("Found")

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds."""

    folder_poll_s: float = 0.5  # from one look to the next, where all see the same folder
    url_poll_s: float = 3.0  # and where looking is a request that costs money
    sigterm_grace_s: float = 25.0  # platforms leave 30 s and more from SIGTERM to the kill, a loaded Slurm may leave 10
    notice_grace_s: float = 25.0  # where a notice does not say when: less than the shortest there is, GCP's 30 s
    report_end_s: float = 3.0  # before a machine is taken: to write down how the program ended
    silent_s: float = 40.0  # a node that has said nothing for so long is gone
    absent_s: float = 600.0  # nodes come up and are set up one after the other
    farewell_s: float = 30.0  # how long a node may go on after the first one has done all its work
    others_s: float = 60.0  # how long the nodes of an attempt wait for each other at its end
    fetch_s: float = 60.0  # a machine may be up before its network is
    finish_s: float = 120.0  # how long the last files are tried to be brought to their place
    output_s: float = 10.0  # for whoever reads what the program printed last

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Timeouts:
        """The usual, or that times ``SPOTWISE_NODE_PATIENCE``. Raises ValueError where that is no number."""
        factor = float(environ.get("SPOTWISE_NODE_PATIENCE") or "1")
        return cls(**{field.name: factor * getattr(cls(), field.name) for field in fields(cls)})


def patiently(step: Callable[[], Found], longest_s: float) -> Found:
    """Take a step, again and again while the place that it needs cannot be reached, but not for ever."""
    give_up = time.monotonic() + longest_s
    while True:
        try:
            return step()
        except FileNotFoundError:
            raise  # that is an answer
        except (OSError, StorageError):
            if time.monotonic() > give_up:
                raise
        time.sleep(_RETRY_S)
