"""The agent of one node: runs an attempt's setup and command, and sees to it that what must be known is known.

It passes on every reason to leave as SIGTERM with a grace, and writes down what happened when. The first node speaks
for the attempt; the others end with it, and it ends with them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .end_attribution import OF_SIGTERM, explained, may_have_a_reason, reconsidered
from .end_cause import EndCause
from .events import NodeEvent, NodeEventName, append_event, read_events
from .exchange import exchange_for
from .notices import watcher_for
from .output import Output
from .peers import NodeState
from .place import Place
from .program_end import ProgramEnd
from .runner import NodeClock, Runner
from .stop_signals import StopSignals
from .sync_thread import SyncThread
from .task import NodeTask
from .timeouts import patiently

EXIT_WITHOUT_PROGRAM = 143
_SECOND_LOOK_S = 0.5  # a signal that the program got first is here by then

_log = logging.getLogger(__name__)


class Agent:
    """Runs one node of one attempt from its start to its end."""

    def __init__(self, place: Place, task: NodeTask, environ: Mapping[str, str], clock: NodeClock) -> None:
        self._node, self._task, self._clock, self._timeouts = place.node, task, clock, place.timeouts
        self._exchange = exchange_for(place.run_url, place.scratch, place.node, place.timeouts)
        folder = self._folder = self._exchange.folder
        self._sync = SyncThread(self._exchange, place.node, task.nodes, place.timeouts, clock.now)
        self._stop_signals = StopSignals(task, self._sync, place.save_request(folder), place.timeouts, clock.now)
        self._watcher = watcher_for(task.cloud, environ, self._stop_signals.notices.append)
        self._output = Output(folder / place.node.log)
        self._is_over = False
        self._runner = Runner(
            workdir=str(Path.cwd()),
            env=place.environment(folder, environ),
            log=folder / place.node.log,
            clock=clock,
            record=self.record,
            handle=lambda now: self._stop_signals.handle(self, now),
        )

    def run(self) -> int:
        """Everything. The exit code of the node's program, or 143 where it never started."""
        self._stop_signals.listen()
        patiently(self._exchange.fetch, self._timeouts.fetch_s)
        (self._folder / self._node.attempt).mkdir(parents=True, exist_ok=True)
        if self._has_run():
            print("[spotwise] this attempt has run already: nothing to do", flush=True)
            return 0
        self.record(NodeEventName.UP, host=os.uname().nodename)
        self._sync.start()  # looks once: an attempt ended before it began must not begin
        self._output.start()
        if self._watcher is not None:
            self._watcher.start()
        try:
            ending = self._unwanted() or self._runner.set_up(self._task.setup) or self._runner.work(self._task.command)
        finally:
            all_gone = self._runner.end_all()
        return self._end(self._with_its_reason(ending), all_gone)

    def leave_by(self, cause: EndCause, deadline: datetime) -> None:
        if self._is_over:
            return
        self._runner.leave_by(cause, deadline)
        if (leave := self._runner.leave) is not None:
            grace_s = (leave.deadline - self._clock.now()).total_seconds()
            self._tell(cause=leave.cause, grace_s=grace_s)

    def write_log(self, text: str) -> None:
        self._runner.write_log(text)

    def record(self, name: NodeEventName, at: datetime | None = None, **data: object) -> None:
        """Write an event; only the first node does."""
        if self._node.rank == 0:
            append_event(self._folder / self._node.events, NodeEvent(name, at or self._clock.now(), data))
            self._sync.hurry()

    def _has_run(self) -> bool:
        """Whether another agent has run this attempt: a launch that was repeated starts nothing twice."""
        if self._node.rank == 0:
            return bool(read_events(self._folder / self._node.events))
        return (self._folder / self._node.state).exists()

    def _unwanted(self) -> ProgramEnd | None:
        now = self._clock.now()
        self._stop_signals.handle(self, now)
        leave = self._runner.leave
        return (
            None if leave is None else ProgramEnd(leave.cause, now, None, f"{leave.cause} before the program started")
        )

    def _tell(self, **state: Any) -> None:
        """What the other nodes are to know."""
        fault = self._stop_signals.peer_fault
        self._sync.tell(NodeState(self._node.rank, because_of=None if fault is None else fault.rank, **state))

    def _with_its_reason(self, ending: ProgramEnd) -> ProgramEnd:
        """What ended the program may become known a moment after it has ended."""
        if self._runner.leave is not None:
            return explained(ending, self._stop_signals.peer_fault)
        if not may_have_a_reason(ending, self._task.nodes):
            return ending
        if ending.exit_code not in OF_SIGTERM:  # else the others might take for a crash what is none
            self._tell(cause=ending.cause, exit_code=ending.exit_code, message=ending.message)
        others_s = 2 * self._exchange.pause_s if self._task.nodes > 1 and ending.exit_code != 0 else 0.0
        longest_s = _SECOND_LOOK_S + others_s
        self._wait_while(lambda: self._runner.leave is None, longest_s)
        return reconsidered(ending, self._runner.leave, self._stop_signals.peer_fault)

    def _end(self, ending: ProgramEnd, all_gone: bool) -> int:
        self._is_over = True
        code = EXIT_WITHOUT_PROGRAM if ending.exit_code is None else ending.exit_code
        self._tell(is_over=True, cause=ending.cause, exit_code=ending.exit_code, message=ending.message)
        self._wait_while(lambda: self._is_awaited(code), self._others_s())
        if self._watcher is not None:
            self._watcher.stop()
        self._sync.stop()  # it must not carry the last event away before the last lines of the log
        self.record(NodeEventName.ENDED, ending.at, **ending.event_data(all_gone=all_gone))
        is_told = self._sync.finish()
        self._output.finish(self._timeouts.output_s)
        if is_told:
            self._exchange.discard()
        else:
            _log.error("the attempt's last files could not be brought to their place: the scheduler misses them")
        return code

    def _is_awaited(self, code: int) -> bool:
        """The first node waits for all others: the attempt has ended when nothing of it runs any more. The others wait
        for it if they failed: a platform that sees one node fail kills the rest, also while it writes that down."""
        if self._node.rank == 0:
            return not self._sync.peers.all_gone()
        return code != 0 and not self._sync.first_has_ended and not self._sync.peers.is_silent(0)

    def _others_s(self) -> float:
        """How long to wait for them: a machine that is being taken has little time left."""
        if self._runner.leave is None:
            return self._timeouts.others_s
        left_s = (self._runner.leave.deadline - self._clock.now()).total_seconds()
        return min(max(left_s, 0.0) + self._timeouts.report_end_s, self._timeouts.others_s)

    def _wait_while(self, condition: Callable[[], bool], longest_s: float) -> None:
        give_up = self._clock.now() + timedelta(seconds=longest_s)
        while condition() and self._clock.now() < give_up:
            self._runner.wait(longest_s)
