from __future__ import annotations

import os
import socket

import psutil
import pytest

from spotwise.scheduler.execution.lease_owner import SupervisorProcess, me


def test_a_process_is_read_as_it_was_written() -> None:
    mine = SupervisorProcess.of(psutil.Process(os.getpid()))
    assert SupervisorProcess.parse(me()) == mine
    assert (mine.host, mine.pid) == (socket.gethostname(), os.getpid())


@pytest.mark.parametrize("owner", ["", "me", "host", "host pid 1.00", "host 12", "host 12 1.00 more"])
def test_another_owner_names_no_process(owner: str) -> None:
    assert SupervisorProcess.parse(owner) is None
