"""The agent of one node: runs an attempt's setup and command, and sees to it that what must be known is known.

It passes on every reason to leave as SIGTERM with a grace, and writes down what happened when. The first node speaks
for the attempt; the others end with it, and it ends with them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from .events import Event, append_event, read_events
from .exchange import exchange_for
from .liaison import Liaison
from .notices import watcher_for
from .peers import NodeState
from .place import Place
from .reasons import Reasons
from .runner import Ending, NodeClock, Runner, ended
from .task import NodeTask

OTHERS_S = 60.0  # the other nodes have this long to end after the first has
EXIT_WITHOUT_PROGRAM = 143

_log = logging.getLogger(__name__)


class Agent:
    """Runs one node of one attempt from its start to its end."""

    def __init__(self, place: Place, task: NodeTask, environ: Mapping[str, str], clock: NodeClock) -> None:
        self._node, self._task, self._clock = place.node, task, clock
        self._exchange = exchange_for(place.run_url, place.scratch, place.node)
        folder = self._folder = self._exchange.folder
        self._liaison = Liaison(self._exchange, place.node, task.nodes, clock.now)
        self._reasons = Reasons(task, self._liaison, place.save_request(folder), clock.now)
        self._watcher = watcher_for(task.cloud, environ, self._reasons.notices.append)
        self._output = Output(folder / place.node.log)
        self._runner = Runner(
            workdir=str(Path.cwd()),
            env=place.environment(folder, environ),
            log=folder / place.node.log,
            clock=clock,
            record=self.record,
            heed=self._heed,
        )

    def run(self) -> int:
        """Everything. The exit code of the node's program, or 143 where it never started."""
        self._exchange.fetch()
        (self._folder / self._node.attempt).mkdir(parents=True, exist_ok=True)
        if self._has_run():
            print("[spotwise] this attempt has run already: nothing to do", flush=True)
            return 0
        self._reasons.listen()
        self.record("up", host=os.uname().nodename)
        self._liaison.look()  # an attempt ended before it began must not begin
        self._liaison.start()
        if self._watcher is not None:
            self._watcher.start()
        try:
            ending = self._unwanted() or self._runner.set_up(self._task.setup) or self._runner.work(self._task.command)
        finally:
            all_gone = self._runner.end_all()
        return self._end(self._explained(ending), all_gone)

    def leave_by(self, cause: str, deadline: datetime) -> None:
        self._runner.leave_by(cause, deadline)
        if self._runner.leave is not None:
            self._liaison.tell(NodeState(self._node.rank, cause=self._runner.leave.cause))

    def say(self, text: str) -> None:
        self._runner.say(text)

    def record(self, name: str, at: datetime | None = None, **data: object) -> None:
        """Write an event; only the first node does."""
        if self._node.rank == 0:
            append_event(self._folder / self._node.events, Event(name, at or self._clock.now(), data))
            self._liaison.hurry()

    def _has_run(self) -> bool:
        """Whether another agent has run this attempt: a launch that was repeated starts nothing twice."""
        if self._node.rank == 0:
            return bool(read_events(self._folder / self._node.events))
        return (self._folder / self._node.state).exists()

    def _heed(self, now: datetime) -> None:
        self._output.pass_on()
        self._reasons.heed(self, now)

    def _unwanted(self) -> Ending | None:
        now = self._clock.now()
        self._reasons.heed(self, now)
        leave = self._runner.leave
        return None if leave is None else Ending(leave.cause, now, None, f"{leave.cause} before the program started")

    def _explained(self, ending: Ending) -> Ending:
        """Where another node was the reason, by what happened there."""
        fault = self._reasons.peer_fault
        if fault is None or ending.exit_code == 0:
            return ending
        code = ending.exit_code if fault.exit_code is None else fault.exit_code
        return Ending(fault.cause, ending.at, code, fault.message)

    def _end(self, ending: Ending, all_gone: bool) -> int:
        code = ending.exit_code
        self._liaison.tell(NodeState(self._node.rank, 0, True, ending.cause, code, ending.message))
        if self._node.rank == 0:
            self._wait_for_others()
        if self._watcher is not None:
            self._watcher.stop()
        self._output.pass_on()
        self.record("ended", ending.at, **ended(ending, all_gone=all_gone))
        if not self._liaison.finish():
            _log.error("the attempt's last files could not be brought to their place: the scheduler misses them")
        return EXIT_WITHOUT_PROGRAM if code is None else code

    def _wait_for_others(self) -> None:
        give_up = self._clock.now() + timedelta(seconds=OTHERS_S)
        while not self._liaison.peers.all_over() and self._clock.now() < give_up:
            self._runner.wait(OTHERS_S)


class Output:
    """Passes what the program prints on to this process' output, where the platform's own log finds it."""

    def __init__(self, log: Path) -> None:
        self._log, self._passed_on = log, 0

    def pass_on(self) -> None:
        try:
            with self._log.open("rb") as log:
                log.seek(self._passed_on)
                data = log.read()
        except FileNotFoundError:
            return
        self._passed_on += len(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
