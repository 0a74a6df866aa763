"""Why a node has to be left: looked at several times a second. Each is acted on once, and the first names the cause."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Protocol

from .end_cause import EndCause
from .events import NodeEventName
from .notices import Notice, NoticeKind
from .peers import PeerFault
from .sync_thread import SyncThread
from .task import NodeTask
from .timeouts import Timeouts

BOOT_S = 120.0  # billing begins before the agent does, and the budget must hold all the same
_FOREVER_S = 1e9
_LOOK_S = 2.0  # of the time that SIGTERM leaves


class StoppableNode(Protocol):
    """What the reasons act on."""

    def leave_by(self, cause: EndCause, deadline: datetime) -> None: ...

    def write_log(self, text: str) -> None: ...

    def record(self, name: NodeEventName, at: datetime | None = None, **data: object) -> None: ...


class StopSignals:
    """A stop request of the scheduler, a preemption notice, SIGTERM, a spent budget, another node's end."""

    def __init__(
        self, task: NodeTask, sync: SyncThread, save_request: Path, timeouts: Timeouts, now: Callable[[], datetime]
    ) -> None:
        self.notices: list[Notice] = []  # filled by the watcher's thread
        self.peer_fault: PeerFault | None = None  # where it was the first reason
        self._task, self._sync, self._save_request, self._now = task, sync, save_request, now
        self._timeouts, self._is_leaving = timeouts, False
        self._sigterm_at: datetime | None = None
        self._seen: set[str] = set()
        self._began_at = now()

    def listen(self) -> None:
        """Hear SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._note_sigterm)

    def handle(self, machine: StoppableNode, now: datetime) -> None:
        self._handle_stop_request(machine, now)
        self._handle_notices(machine, now)
        self._handle_sigterm(machine, now)
        self._handle_budget(machine, now)
        self._handle_peers(machine, now)

    def _handle_stop_request(self, machine: StoppableNode, now: datetime) -> None:
        stop_request = self._sync.stop_request
        if stop_request is not None and self._is_first(f"stop request {stop_request.grace_s}"):
            machine.record(NodeEventName.TERMINATING, now, grace_s=stop_request.grace_s)
            self._leave(machine, EndCause.TERMINATED, now, stop_request.grace_s)

    def _handle_notices(self, machine: StoppableNode, now: datetime) -> None:
        while self.notices:
            notice = self.notices.pop(0)
            if notice.kind is NoticeKind.REBALANCE:
                machine.record(NodeEventName.REBALANCE, now, source=notice.source)
                machine.write_log(f"{notice.source} recommends to leave soon: a checkpoint is asked for")
                self._save_request.touch()
            else:
                machine.record(NodeEventName.NOTICE, now, source=notice.source)
                machine.write_log(f"preemption notice: {notice.source}")
                self._leave(machine, EndCause.PREEMPTED, now, self._grace_s(notice, now))

    def _handle_sigterm(self, machine: StoppableNode, now: datetime) -> None:
        """The platform ends the machine: a preemption where it is spot, else somebody wants it back."""
        at = self._sigterm_at
        if at is None or not self._is_first("SIGTERM"):
            return
        self._sync.look_again(_LOOK_S)  # it may be us: ending a machine is a SIGTERM on some platforms
        self._handle_stop_request(machine, now)
        if self._sync.stop_request is None:
            machine.record(NodeEventName.NOTICE, at, source="SIGTERM")
        machine.write_log("SIGTERM: the machine is taken back")
        cause = EndCause.PREEMPTED if self._task.is_spot else EndCause.VANISHED
        self._leave(machine, cause, at, self._timeouts.sigterm_grace_s)

    def _handle_budget(self, machine: StoppableNode, now: datetime) -> None:
        """Normally the supervisor stops an attempt a moment earlier; this holds when none lives."""
        if now >= self._budget_ends_at() and self._is_first("budget"):
            machine.record(NodeEventName.TERMINATING, now, grace_s=self._task.stop_grace_s)
            machine.write_log("the budget is spent: asked to save and leave")
            self._leave(machine, EndCause.TERMINATED, now, self._task.stop_grace_s)

    def _budget_ends_at(self) -> datetime:
        """Sooner where the scheduler has found that the machine costs more than it knew."""
        told = self._sync.limit
        limits = [self._task.stop_after_s, None if told is None else told.stop_after_s]
        stop_after_s = min((limit for limit in limits if limit is not None), default=_FOREVER_S)
        left_s = max(stop_after_s - BOOT_S, stop_after_s / 2)
        return self._began_at + timedelta(seconds=min(max(left_s, 0.0), _FOREVER_S))

    def _handle_peers(self, machine: StoppableNode, now: datetime) -> None:
        """Not where this node leaves anyway: the others leave with it, and must not shorten its time to save."""
        fault = None if self._is_leaving else self._sync.peers.fault()
        if fault is None:
            return
        self.peer_fault = fault
        if fault.cause is EndCause.PREEMPTED:
            machine.record(NodeEventName.NOTICE, now, source=f"node {fault.rank}")
        machine.write_log(f"{fault.message}: ending this node too")
        self._leave(machine, fault.cause, now, fault.grace_s or self._timeouts.sigterm_grace_s)

    def _leave(self, machine: StoppableNode, cause: EndCause, since: datetime, grace_s: float) -> None:
        self._is_leaving = True
        machine.leave_by(cause, since + timedelta(seconds=grace_s))

    def _grace_s(self, notice: Notice, now: datetime) -> float:
        if notice.deadline is None:
            return self._timeouts.notice_grace_s
        return max((notice.deadline - now).total_seconds() - self._timeouts.report_end_s, 0.0)

    def _is_first(self, signal_id: str) -> bool:
        is_first = signal_id not in self._seen
        self._seen.add(signal_id)
        return is_first

    def _note_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._sigterm_at = self._sigterm_at or self._now()
