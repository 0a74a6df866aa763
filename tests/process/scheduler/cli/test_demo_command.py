"""`spotwise demo` works wherever spotwise is installed, and touches nothing of its user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.store import Store


@pytest.mark.slow
def test_the_demo_trains_to_the_end_and_says_where_its_report_is(tmp_path: Path) -> None:
    mine, here = tmp_path / "mine", tmp_path / "here"
    here.mkdir()
    command = [sys.executable, "-P", "-m", "spotwise.scheduler.cli", "demo", "--home", str(tmp_path / "demo")]
    env = {**os.environ, "SPOTWISE_HOME": str(mine), "SPOTWISE_SETTINGS": "/nonexistent/settings.yaml"}
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"report: {tmp_path}/demo/report/report.html" in done.stdout
    assert (tmp_path / "demo/report/report.html").is_file()
    (run,) = Store.open(f"sqlite:///{tmp_path / 'demo/spotwise.db'}").runs()
    assert run.state is RunState.COMPLETED
    assert not mine.exists()
    assert list(here.iterdir()) == []
