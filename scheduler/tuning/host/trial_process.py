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

import psutil

from spotwise.checkpoints.settings import KEEP_BEST_VARIABLE

from ...node_agent.processes import filters, programs, roots, terminate
from ...node_agent.shell import bash_words
from ..study.sweep_task import SweepTask, TrialFolder
from ..study.trial_checkpoints import trial_checkpoints_url
from . import die_with_parent
from .process_id import note_processes, noted_processes

_TAIL_BYTES = 8192

_PIPEFAIL = ("-o", "pipefail")  # a program that falls before `| tee` has not ended well


def trial_environment(task: SweepTask, number: int, params: Mapping[str, Any]) -> dict[str, str]:
    """What the process finds in its environment beyond the host's own."""
    folder = task.trial_folder(number)
    contract = {
        "SPOTWISE_RUN_ID": task.run_id,
        "SPOTWISE_TRIAL_ID": f"{number:04d}",
        "SPOTWISE_ATTEMPT": str(task.attempt),
        "SPOTWISE_CHECKPOINT_URL": trial_checkpoints_url(task.folder, task.checkpoint_to, number),
        "SPOTWISE_CHECKPOINT_EVERY": task.checkpoint_every,
        "SPOTWISE_CHECKPOINT_KEEP": str(task.keep),
        KEEP_BEST_VARIABLE: task.keep_best,
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
    """A started process, in a session of its own, writing to the trial's ``log.txt``."""

    def __init__(self, task: SweepTask, number: int, params: Mapping[str, Any]) -> None:
        """Start it.

        Raises:
            OSError: the work folder does not exist, or the disk is full.
        """
        folder = task.trial_folder(number)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.leaving.unlink(missing_ok=True)
        dies_with_us = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        with folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *bash_words(task.command, folder.path / "command.sh", _PIPEFAIL)],
                cwd=task.workdir,
                env={**_inherited(), **trial_environment(task, number, params)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        note_processes(folder.pid, [psutil.Process(self._process.pid)])
        self._noted = TrialProcess(folder)

    def exit_code(self) -> int | None:
        """None while it runs, or while it saves although its shell is gone; a death by signal N is 128 + N."""
        code = self._process.poll()
        if code is None or self._noted.is_leaving():
            return None
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """End whatever is left of it. Idempotent."""
        self._noted.kill()
        self._process.wait()


class TrialProcess:
    """A trial's process as its folder tells of it, for whoever has not started it but has to end it."""

    def __init__(self, folder: TrialFolder) -> None:
        self._folder = folder
        self._started = noted_processes(folder.pid) or []

    def ask_to_leave(self) -> None:
        """SIGTERM to the training program, so that it saves; once, as a program may be in the middle of saving.

        Whom that concerns is written down first: who watches the trial must not take the end of its shell for its own.
        """
        if not self._started or noted_processes(self._folder.leaving) is not None:
            return
        leaders = roots(process for started in self._started for process in started.tree())
        told = programs(*leaders)
        note_processes(self._folder.leaving, [*told, *filters(*leaders)])
        terminate(told)

    def is_leaving(self) -> bool:
        """Whether it was asked to leave and has not left yet: a program saves, or what prints for it still does."""
        return any(process.is_alive() for process in noted_processes(self._folder.leaving) or [])

    def has_left(self) -> bool:
        """Whether, once asked to leave, it has done so. What it has started and left behind is ended here."""
        if self.is_leaving():
            return False
        self.kill()
        return True

    def kill(self) -> None:
        """End it and all that it started, now. Idempotent."""
        for started in self._started:
            started.kill()
        self._folder.pid.unlink(missing_ok=True)
        self._folder.leaving.unlink(missing_ok=True)


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
