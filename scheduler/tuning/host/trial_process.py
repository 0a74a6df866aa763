"""One trial as a process: the job's ``run`` command with a configuration in its environment, in any language."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..study.sweep_task import SweepTask
from . import die_with_parent
from .processes import ProcessId

_TAIL_BYTES = 8192


def trial_environment(task: SweepTask, number: int, params: Mapping[str, Any]) -> dict[str, str]:
    """What the process finds in its environment beyond the host's own."""
    folder = task.trial_folder(number)
    checkpoints = f"{task.checkpoint_to.rstrip('/')}/trials/{number:04d}" if task.checkpoint_to else folder.checkpoints
    contract = {
        "SPOTWISE_RUN_ID": task.run_id,
        "SPOTWISE_TRIAL_ID": f"{number:04d}",
        "SPOTWISE_ATTEMPT": str(task.attempt),
        "SPOTWISE_CHECKPOINT_URL": str(checkpoints),
        "SPOTWISE_CHECKPOINT_EVERY": task.checkpoint_every,
        "SPOTWISE_CHECKPOINT_KEEP": str(task.keep),
        "SPOTWISE_PROGRESS_URL": str(folder.progress),
        "SPOTWISE_HPARAMS": json.dumps(dict(params)),
    }
    return {
        **task.env,
        **{k: v for k, v in contract.items() if v},
        **{_variable(k): _text(v) for k, v in params.items()},
    }


def _variable(name: str) -> str:
    return "HP_" + re.sub(r"\W", "_", name).upper()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class TrialCommand:
    """A started process, in a group of its own, writing to the trial's ``log.txt``."""

    def __init__(self, task: SweepTask, number: int, params: Mapping[str, Any]) -> None:
        """Start it.

        Raises:
            OSError: the work folder does not exist, or the disk is full.
        """
        self._folder = task.trial_folder(number)
        self._folder.path.mkdir(parents=True, exist_ok=True)
        with self._folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), "bash", "-c", task.command],
                cwd=task.workdir,
                env={**_inherited(), **trial_environment(task, number, params)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._id = ProcessId.of(self._process.pid)
        self._id.save(self._folder.pid)

    def exit_code(self) -> int | None:
        """None while it runs; a death by signal N is 128 + N, as shells write it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def kill(self) -> None:
        """End whatever is left of it. Idempotent."""
        self._id.kill()
        self._process.wait()
        self._folder.pid.unlink(missing_ok=True)


def log_tail(path: Path, lines: int = 5) -> str:
    """The last lines of a log that are not empty."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])


def _inherited() -> dict[str, str]:
    """The host's environment without Ray's own variables: a program that uses Ray must not join ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
