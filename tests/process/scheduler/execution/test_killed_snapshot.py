"""A submission that is killed while it copies the code leaves nothing half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from spotwise.scheduler.execution.code_listing import list_code
from spotwise.scheduler.execution.code_store import add_snapshot, fingerprint_of, unused_snapshots

DIES_IN_THE_MIDDLE = """
import os, shutil, signal, sys
from pathlib import Path
from spotwise.scheduler.execution.code_listing import list_code
from spotwise.scheduler.execution.code_store import add_snapshot
copied = []
def stat(source, to):
    copied.append(to)
    if len(copied) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
shutil.copystat = stat
add_snapshot(Path(sys.argv[1]), list_code(Path(sys.argv[2])))
"""


def test_a_submission_that_is_killed_while_it_copies_leaves_no_half_snapshot(tmp_path: Path) -> None:
    home, code = tmp_path / "home", tmp_path / "code"
    code.mkdir()
    for name in "abc":
        (code / name).write_text(name)
    done = subprocess.run([sys.executable, "-c", DIES_IN_THE_MIDDLE, home, code], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (draft,) = (home / "code").iterdir()
    assert draft.name.endswith(".part")
    kept = home / "code" / add_snapshot(home, list_code(code))
    assert fingerprint_of(kept) == kept.name
    os.utime(draft, (time.time() - 7200,) * 2)
    assert unused_snapshots(home, {kept.name}) == [draft]
