"""The Ray side of a trial: a worker that starts the job's command and passes on what its progress file says.

It decides nothing. Each ``step`` returns the next thing that happened; the host's scheduler answers by letting Tune
call ``step`` again or stop the trial. One worker serves many trials, one after the other: starting one takes seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import tune

from spotwise.checkpoints.progress import ProgressReader

from ...core.masking import masked
from ...node_agent.runner import EXIT_CANNOT_RUN
from ..study.metric import metric_of
from ..study.sweep_task import SweepTask
from .trial_process import TrialCommand, log_tail

POLL_S = 0.1

Message = dict[str, Any]


class CommandTrial(tune.Trainable):
    """Runs one trial's command at a time. ``config``: ``task`` (path of sweep.json), ``trial``, ``params`` (JSON)."""

    def setup(self, config: dict[str, Any]) -> None:
        self._command: TrialCommand | None = None
        self._assign(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._assign(new_config)
        return True

    def step(self) -> Message:
        """``started`` after a process was started, ``epoch`` after each report of the metric, ``exit`` at its end."""
        if self._command is None:
            return self._start()
        while not self._messages:
            code = self._command.exit_code()
            self._read()
            if code is not None and not self._messages:
                return self._exit(code)
            if not self._messages:
                time.sleep(POLL_S)
        return self._messages.popleft()

    def cleanup(self) -> None:
        if self._command is not None:
            self._command.kill()
            self._command = None

    def _assign(self, config: dict[str, Any]) -> None:
        self._task = SweepTask.load(Path(config["task"]), os.environ)
        self._number, self._params = int(config["trial"]), json.loads(config["params"])
        self._messages: deque[Message] = deque()
        self._seen_metrics: set[str] = set()

    def _start(self) -> Message:
        self._progress = ProgressReader(str(self._task.trial_folder(self._number).progress))
        self._progress.new()  # what earlier attempts wrote is recorded already
        try:
            self._command = TrialCommand(self._task, self._number, self._params)
        except OSError as error:
            return {"kind": "exit", "at": _now(), "code": EXIT_CANNOT_RUN, "tail": str(error), "seen": []}
        return {"kind": "started", "at": _now()}

    def _read(self) -> None:
        for record in self._progress.new():
            self._seen_metrics.update(record.metrics)
            found, value = metric_of(record, self._task.metric)
            if found:
                at = record.time.isoformat()
                self._messages.append({"kind": "epoch", "at": at, "epoch": record.epoch, "value": value})

    def _exit(self, code: int) -> Message:
        tail = masked(log_tail(self._task.trial_folder(self._number).log), _secrets())
        self.cleanup()
        return {"kind": "exit", "at": _now(), "code": code, "tail": tail, "seen": sorted(self._seen_metrics)}


def _secrets() -> list[str]:
    """The values of the job's secrets; which variables they are, the one says who started the host."""
    names = os.environ.get("SPOTWISE_SECRET_NAMES", "").split(",")
    return [os.environ[name] for name in names if os.environ.get(name)]


def _now() -> str:
    return datetime.now(UTC).isoformat()
