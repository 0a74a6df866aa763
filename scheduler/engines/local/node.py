"""The machine of one attempt, as a process: ``python -m spotwise.scheduler.engines.local.node <attempt folder>``.

It lives on when the supervisor dies, as a machine in the cloud does. It waits for the capacity, runs setup and command,
delivers the market's notice and the kill, obeys ``terminate.json``, and writes down what happened when. It reads the
job's environment as JSON from standard input. It holds the folder's lock: a second node for the same attempt leaves at
once. Standard library and psutil only, since one is started for every attempt.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ...node_agent.end_cause import EndCause
from ...node_agent.events import NodeEvent, NodeEventName, append_event
from ...node_agent.processes import FOLDER_VARIABLE
from ...node_agent.program_end import ProgramEnd
from ...node_agent.runner import NodeClock, Runner
from .folder import AttemptFolder, NodeRequest

BEAT_S = 0.5  # how precisely the end of a node that was killed is known


class Node:
    """Runs one attempt from its request to its end. One thread; every wait goes through the runner."""

    def __init__(self, folder: AttemptFolder, request: NodeRequest, env: Mapping[str, str], clock: NodeClock) -> None:
        self._folder = folder
        self._request = request
        self._clock = clock
        self._grace_seen_s: float | None = None
        self._is_up = False
        self._noticed = False
        self._last_beat = clock.now()
        self._runner = Runner(
            workdir=request.workdir,
            env={"PYTHONUNBUFFERED": "1", **os.environ, **env, FOLDER_VARIABLE: str(folder.path)},
            log=folder.log_path,
            clock=clock,
            record=self._record,
            handle=self._handle,
        )

    def run(self) -> None:
        """Everything, until the end is on disk and no process is left."""
        try:
            self._record(NodeEventName.ASKED, pid=os.getpid(), orphans_adopted=self._runner.orphans_adopted)
            ending = self._provision() or self._set_up_and_work()
        finally:
            all_gone = self._runner.end_all()
        self._record(NodeEventName.ENDED, ending.at, **ending.event_data(all_gone=all_gone))

    def _provision(self) -> ProgramEnd | None:
        """Wait for the machine: not billed. None once it is there."""
        request, runner = self._request, self._runner
        self._handle_terminate(self._clock.now())  # an attempt ended before it began must not begin
        # The market's times decide, not how soon this process came up: the machine of a late node was up all the same.
        known_at = min(request.capacity_at, request.notice_at or request.capacity_at)
        while runner.leave is None and (left_s := (known_at - self._clock.now()).total_seconds()) > 0:
            runner.wait(left_s)
        now = self._clock.now()
        if runner.leave is not None:
            return ProgramEnd(EndCause.WITHDRAWN, now, None, "ended by spotwise before the machine was up")
        if request.notice_at is not None and request.notice_at <= request.capacity_at:
            message = f"{request.pool} ran out of capacity while the machine was starting"
            return ProgramEnd(EndCause.NO_CAPACITY, now, None, message)
        self._record(NodeEventName.LAUNCHED, now)
        self._is_up = True
        return None

    def _set_up_and_work(self) -> ProgramEnd:
        return self._runner.set_up(self._request.setup) or self._runner.work(self._request.command)

    def _handle(self, now: datetime) -> None:
        """See what spotwise wants, and what the market does."""
        if (now - self._last_beat).total_seconds() >= BEAT_S:
            self._folder.beat(now)
            self._last_beat = now
        self._handle_terminate(now)
        self._handle_budget(now)
        if self._is_up:
            self._handle_market(now)

    def _handle_terminate(self, now: datetime) -> None:
        grace_s = self._folder.terminate_grace_s()
        if grace_s is None or (self._grace_seen_s is not None and grace_s >= self._grace_seen_s):
            return
        self._grace_seen_s = grace_s
        self._record(NodeEventName.TERMINATING, now, grace_s=grace_s)
        self._runner.leave_by(EndCause.TERMINATED, now + timedelta(seconds=grace_s))

    def _handle_budget(self, now: datetime) -> None:
        """Normally the supervisor stops an attempt a moment earlier; this holds when none lives."""
        stop_at = self._request.stop_at
        if self._runner.leave is not None or stop_at is None or now < stop_at:
            return
        self._record(NodeEventName.TERMINATING, now, grace_s=self._request.stop_grace_s)
        self._runner.write_log("the budget is spent: asked to save and leave")
        self._runner.leave_by(EndCause.TERMINATED, now + timedelta(seconds=self._request.stop_grace_s))

    def _handle_market(self, now: datetime) -> None:
        notice_at, grace_s = self._request.notice_at, self._request.grace_s
        if self._noticed or notice_at is None or now < notice_at:
            return
        self._noticed = True
        self._record(NodeEventName.NOTICE, now, grace_s=grace_s)
        self._runner.write_log(f"preemption notice: {self._request.pool} takes the machine back in {grace_s:g} s")
        self._runner.leave_by(EndCause.PREEMPTED, now + timedelta(seconds=grace_s))

    def _record(self, name: NodeEventName, at: datetime | None = None, **data: Any) -> None:
        append_event(self._folder.events_path, NodeEvent(name, at or self._clock.now(), data))


def main() -> int:
    """Lock the attempt, then leave it to a process of its own, which nobody waits for."""
    folder = AttemptFolder(Path(sys.argv[1]))
    env = json.load(sys.stdin)
    request = folder.request()
    if request is None:
        sys.stderr.write(f"{folder.request_path} is missing: nothing to run\n")
        return 1
    if folder.try_lock() is None or folder.events():
        return 0  # another node runs it, or has run it
    if os.fork() > 0:
        return 0  # the child keeps the lock
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    Node(folder, request, env, NodeClock(set_at=request.clock_set_at)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
