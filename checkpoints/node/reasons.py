"""Why a node has to be left: looked at several times a second. Each is acted on once, and the first names the cause."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Protocol

from .liaison import Liaison
from .notices import Notice, NoticeKind
from .peers import PeerFault
from .task import NodeTask

SIGTERM_GRACE_S = 25.0  # platforms leave 30 s and more between SIGTERM and the kill, a loaded Slurm may leave 10
NOTICE_GRACE_S = 25.0  # where a notice does not say when: less than the shortest there is, GCP's 30 s
BOOT_S = 120.0  # billing begins before the agent does, and the budget must hold all the same
_FOREVER_S = 1e9


class Machine(Protocol):
    """What the reasons act on."""

    def leave_by(self, cause: str, deadline: datetime) -> None: ...

    def say(self, text: str) -> None: ...

    def record(self, name: str, at: datetime | None = None, **data: object) -> None: ...


class Reasons:
    """A wish of the scheduler, a preemption notice, SIGTERM, a spent budget, another node's end."""

    def __init__(self, task: NodeTask, liaison: Liaison, save_request: Path, now: Callable[[], datetime]) -> None:
        self.notices: list[Notice] = []  # filled by the watcher's thread
        self.peer_fault: PeerFault | None = None
        self._task, self._liaison, self._save_request, self._now = task, liaison, save_request, now
        self._sigterm_at: datetime | None = None
        self._seen: set[str] = set()
        left_s = _FOREVER_S if task.stop_after_s is None else task.stop_after_s - BOOT_S
        self._budget_ends_at = now() + timedelta(seconds=min(max(left_s, 0.0), _FOREVER_S))

    def listen(self) -> None:
        """Hear SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._note_sigterm)

    def heed(self, machine: Machine, now: datetime) -> None:
        self._heed_wish(machine, now)
        self._heed_notices(machine, now)
        self._heed_sigterm(machine, now)
        self._heed_budget(machine, now)
        self._heed_peers(machine, now)

    def _heed_wish(self, machine: Machine, now: datetime) -> None:
        wish = self._liaison.wish
        if wish is not None and self._is_first(f"wish {wish.grace_s}"):
            machine.record("terminating", now, grace_s=wish.grace_s)
            machine.leave_by("terminated", now + timedelta(seconds=wish.grace_s))

    def _heed_notices(self, machine: Machine, now: datetime) -> None:
        while self.notices:
            notice = self.notices.pop(0)
            if notice.kind is NoticeKind.REBALANCE:
                machine.record("rebalance", now, source=notice.source)
                machine.say(f"{notice.source} recommends to leave soon: a checkpoint is asked for")
                self._save_request.touch()
            else:
                machine.record("notice", now, source=notice.source)
                machine.say(f"preemption notice: {notice.source}")
                machine.leave_by("preempted", notice.deadline or now + timedelta(seconds=NOTICE_GRACE_S))

    def _heed_sigterm(self, machine: Machine, now: datetime) -> None:
        """The platform ends the machine: a preemption where it is spot, else somebody wants it back."""
        if self._sigterm_at is None or not self._is_first("SIGTERM"):
            return
        self._liaison.look()  # it may be us: ending a machine is a SIGTERM on some platforms
        self._heed_wish(machine, now)
        machine.record("notice", self._sigterm_at, source="SIGTERM")
        machine.say("SIGTERM: the machine is taken back")
        cause = "preempted" if self._task.is_spot else "vanished"
        machine.leave_by(cause, self._sigterm_at + timedelta(seconds=SIGTERM_GRACE_S))

    def _heed_budget(self, machine: Machine, now: datetime) -> None:
        """Normally the supervisor stops an attempt a moment earlier; this holds when none lives."""
        if now >= self._budget_ends_at and self._is_first("budget"):
            machine.record("terminating", now, grace_s=self._task.stop_grace_s)
            machine.say("the budget is spent: asked to save and leave")
            machine.leave_by("terminated", now + timedelta(seconds=self._task.stop_grace_s))

    def _heed_peers(self, machine: Machine, now: datetime) -> None:
        fault = self._liaison.peers.fault(time.monotonic())
        if fault is not None and self._is_first("peers"):
            self.peer_fault = fault
            machine.say(f"{fault.message}: ending this node too")
            machine.leave_by(fault.cause, now + timedelta(seconds=SIGTERM_GRACE_S))

    def _is_first(self, reason: str) -> bool:
        is_first = reason not in self._seen
        self._seen.add(reason)
        return is_first

    def _note_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._sigterm_at = self._sigterm_at or self._now()
