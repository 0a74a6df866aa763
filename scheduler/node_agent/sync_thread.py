"""The agent's other threads: they exchange files with the scheduler and the other nodes, so that no slow network ever
keeps the agent from seeing that its program has ended or that the machine is about to go.

They carry, and decide nothing: the agent reads what they have found, whenever it likes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.errors import StorageError

from .events import NodeEventName, read_events
from .exchange import Exchange
from .message_format import NodeMessageError
from .node_name import NodeName
from .peers import NodeState, Peers
from .task import SpendingLimit, StopRequest
from .timeouts import Timeouts

_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class SyncThread(threading.Thread):
    """Looks for stop requests, tells the others that this node lives, and keeps the exchange going."""

    def __init__(
        self, exchange: Exchange, node: NodeName, nodes: int, timeouts: Timeouts, now: Callable[[], datetime]
    ) -> None:
        super().__init__(name="sync", daemon=True)
        self.peers = Peers(node.rank, nodes, timeouts, time.monotonic())
        self.stop_request: StopRequest | None = None
        self.limit: SpendingLimit | None = None
        self.first_has_ended = False  # for the other nodes, once they are over: node 0 has written its last event
        self._exchange, self._node, self._timeouts, self._now = exchange, node, timeouts, now
        self._attempt = exchange.folder / node.attempt
        self._state = NodeState(node.rank)
        self._wake, self._stopped, self._stating = threading.Event(), threading.Event(), threading.Lock()
        self._looks, self._looked = 0, threading.Condition()
        self._log_thread = threading.Thread(target=self._upload_logs, name="logs", daemon=True)
        self._give_up_at = 0.0
        self._faults: dict[str, str] = {}  # by what was tried: what is wrong now

    def tell(self, state: NodeState) -> None:
        """What this node says of itself from now on; its beat is counted here."""
        with self._stating:
            self._state = replace(state, beat=self._state.beat)
        self._wake.set()

    def hurry(self) -> None:
        """Something was written that others wait for."""
        self._wake.set()

    def start(self) -> None:
        """Look once, in the caller's thread; from then on without it."""
        self._look()
        super().start()
        self._log_thread.start()

    def look_again(self, longest_s: float) -> None:
        """Have it look now, and wait for that, though not for long."""
        with self._looked:
            looks = self._looks
            self._wake.set()
            self._looked.wait_for(lambda: self._looks > looks, longest_s)

    def run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._try("write", self._exchange.push)
            self._wake.wait(self._exchange.pause_s)
            self._wake.clear()

    def stop(self) -> None:
        """Look and carry no more."""
        self._give_up_at = time.monotonic() + self._timeouts.finish_s
        self._stopped.set()
        self._wake.set()
        for thread in (self, self._log_thread):
            thread.join(max(self._give_up_at - time.monotonic(), 0.0))

    def finish(self) -> bool:
        """Once stopped: bring there whatever is not there yet. False if that was not possible."""
        if self.is_alive() or self._log_thread.is_alive():
            return False  # it hangs in the network
        while not (self._try("beat", self._beat) and self._try("write", self._exchange.finish)):
            if time.monotonic() > self._give_up_at:
                return False
            time.sleep(_RETRY_S)
        return True

    def _upload_logs(self) -> None:
        while not self._stopped.is_set():
            self._try("write logs", self._exchange.upload_logs)
            self._stopped.wait(self._exchange.log_pause_s)

    def _look(self) -> None:
        self._try("beat", self._beat)
        if not self._try("read", self._read):
            self.peers.not_heard(time.monotonic())
        with self._looked:
            self._looks += 1
            self._looked.notify_all()

    def _read(self) -> None:
        states = {rank: f"{self._node.attempt}/node-{rank}.json" for rank in self.peers.ranks}
        told = [f"{self._node.attempt}/terminate.json", *([] if self.limit else [f"{self._node.attempt}/limit.json"])]
        self._exchange.pull([*told, *states.values(), *self._awaited()])
        self.stop_request = _stop_request(self._attempt / "terminate.json", self._now()) or self.stop_request
        self.limit = self.limit or _limit(self._attempt / "limit.json")
        read = {rank: self._state_in(self._exchange.folder / name) for rank, name in states.items()}
        self.peers.update({rank: state for rank, state in read.items() if state is not None}, time.monotonic())
        if self._awaited():
            events = read_events(self._exchange.folder / self._node.events)
            self.first_has_ended = any(event.name == NodeEventName.ENDED for event in events)

    def _awaited(self) -> list[str]:
        """What else is of interest: to a node that is over, whether the first one has written that down."""
        return [self._node.events] if self._state.is_over and self._node.rank > 0 else []

    def _beat(self) -> None:
        with self._stating:
            self._state = replace(self._state, beat=self._state.beat + 1, at=self._now().isoformat())
        path = self._exchange.folder / self._node.state
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self._state.to_json(), durable=False)

    def _try(self, what: str, step: Callable[[], None]) -> bool:
        """Whether it worked. A network that is away is no reason to stop training; the same fault is said once."""
        try:
            step()
        except (OSError, StorageError) as fault:
            self._warn_once(what, fault)
            return False
        self._faults.pop(what, None)
        return True

    def _warn_once(self, what: str, fault: Exception) -> None:
        if str(fault) != self._faults.get(what):
            _log.warning("cannot %s the run's files: %s; trying again", what, fault)
        self._faults[what] = str(fault)

    def _state_in(self, path: Path) -> NodeState | None:
        """What another node says of itself; None where it says nothing, or nothing that can be understood here."""
        try:
            return NodeState.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except NodeMessageError as fault:
            self._warn_once("understand", fault)
            return None


def _limit(path: Path) -> SpendingLimit | None:
    try:
        return SpendingLimit.from_json(path.read_bytes())
    except FileNotFoundError:
        return None


def _stop_request(path: Path, now: datetime) -> StopRequest | None:
    try:
        return StopRequest.from_json(path.read_bytes(), seen_at=now)
    except FileNotFoundError:
        return None
