"""The agent's other thread: exchanges files with the scheduler and the other nodes, so that no slow network ever keeps
the agent from seeing that its program has ended or that the machine is about to go.

It carries, and decides nothing: the agent reads what it has found, whenever it likes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..errors import StorageError
from .exchange import Exchange, NodeName
from .peers import NodeState, Peers
from .task import Wish

FINISH_S = 120.0  # how long the last push is tried again
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class Liaison(threading.Thread):
    """Looks for wishes, tells the others that this node lives, and keeps the exchange going."""

    def __init__(self, exchange: Exchange, node: NodeName, nodes: int, now: Callable[[], datetime]) -> None:
        super().__init__(name="liaison", daemon=True)
        self.peers = Peers(node.rank, nodes, time.monotonic())
        self.wish: Wish | None = None
        self._exchange, self._node, self._now = exchange, node, now
        self._state = NodeState(node.rank)
        self._wake, self._stop = threading.Event(), threading.Event()
        self._stating, self._looking = threading.Lock(), threading.Lock()
        self._fault = ""

    def tell(self, state: NodeState) -> None:
        """What this node says of itself from now on; its beat is counted here."""
        with self._stating:
            self._state = replace(state, beat=self._state.beat)
        self._wake.set()

    def hurry(self) -> None:
        """Something was written that others wait for."""
        self._wake.set()

    def look(self) -> None:
        """Look now, in the caller's thread."""
        with self._looking:
            self._guarded(self._look)

    def run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._guarded(self._exchange.push)
            self._wake.wait(self._exchange.pause_s)
            self._wake.clear()

    def finish(self) -> bool:
        """Stop, and bring there whatever is not there yet. False if that was not possible."""
        self._stop.set()
        self._wake.set()
        self.join()
        give_up = time.monotonic() + FINISH_S
        while not self._guarded(self._push_all):
            if time.monotonic() > give_up:
                return False
            time.sleep(_RETRY_S)
        return True

    def _push_all(self) -> None:
        self._beat()
        self._exchange.push(all_of_it=True)

    def _look(self) -> None:
        self._beat()
        self._exchange.pull()
        folder = self._exchange.folder / self._node.attempt
        self.wish = _wish(folder / "terminate.json", self._now()) or self.wish
        states = {rank: _state(folder / f"node-{rank}.json") for rank in self.peers.ranks}
        self.peers.update({rank: state for rank, state in states.items() if state is not None}, time.monotonic())

    def _beat(self) -> None:
        with self._stating:
            self._state = replace(self._state, beat=self._state.beat + 1)
        path = self._exchange.folder / self._node.state
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".tmp")
        draft.write_bytes(self._state.to_json())
        draft.replace(path)

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Whether it worked. A network that is away is no reason to stop training; the same fault is said once."""
        try:
            step()
        except (OSError, StorageError) as fault:
            if str(fault) != self._fault:
                _log.warning("the run's files cannot be exchanged: %s; trying again", fault)
            self._fault = str(fault)
            return False
        return True


def _wish(path: Path, now: datetime) -> Wish | None:
    try:
        return Wish.from_json(path.read_bytes(), seen_at=now)
    except FileNotFoundError:
        return None


def _state(path: Path) -> NodeState | None:
    try:
        return NodeState.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
