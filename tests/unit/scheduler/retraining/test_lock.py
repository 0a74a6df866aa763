from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spotwise.scheduler.core.errors import ExitCode, StoreError
from spotwise.scheduler.retraining.lock import LockHeldError, exclusive

HOLDER = """
import sys
from pathlib import Path
from spotwise.scheduler.retraining.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "digits" / ".lock"
    told = rf"holds the lock \(pid {os.getpid()}\)"
    with exclusive(path), pytest.raises(LockHeldError, match=told) as held, exclusive(path):
        pass
    assert held.value.exit_code is ExitCode.NOTHING_TO_DO
    with exclusive(path):
        pass


def test_kill_9_of_the_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError, match=f"pid {holder.pid}"), exclusive(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with exclusive(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="SPOTWISE_HOME"), exclusive(tmp_path / "registry" / "digits" / ".lock"):
        pass
