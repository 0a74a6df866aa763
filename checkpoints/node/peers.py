"""The nodes of one attempt watch each other: the loss of one ends the attempt for all. Pure but for `Peers`' memory.

Each node keeps one small file, ``node-<rank>.json``, and reads those of the others. Silence is measured on the reader's
own steady clock from the last time that the file changed, so clocks of different machines never meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

SILENT_S = 40.0  # a node that has said nothing for so long is gone
ABSENT_S = 600.0  # nodes come up and are set up one after the other
FAREWELL_S = 30.0  # how long a node may go on after the first one has done all its work


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node says of itself."""

    rank: int
    beat: int = 0  # grows while it lives
    is_over: bool = False
    cause: str = ""  # why it is over, or about to leave: a value of EndCause
    exit_code: int | None = None
    message: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> NodeState | None:
        """None where it cannot be understood: a file that is just being replaced is read again."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return None

    @property
    def is_done(self) -> bool:
        """All its work is done."""
        return self.is_over and self.cause == "exited" and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class PeerFault:
    """Why a node cannot go on without another."""

    cause: str  # a value of EndCause
    exit_code: int | None
    message: str


class Peers:
    """The other nodes as one of them sees them."""

    def __init__(self, rank: int, nodes: int, now_s: float) -> None:
        """``now_s``: seconds of a steady clock."""
        self._rank = rank
        self._changed_at = {other: now_s for other in range(nodes) if other != rank}
        self._states: dict[int, NodeState] = {}

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(self._changed_at)

    def update(self, states: Mapping[int, NodeState], now_s: float) -> None:
        """Take in what was read just now."""
        for rank, state in states.items():
            if self._states.get(rank) != state:
                self._states[rank], self._changed_at[rank] = state, now_s

    def all_over(self) -> bool:
        return all(self._states.get(rank, NodeState(rank)).is_over for rank in self.ranks)

    def fault(self, now_s: float) -> PeerFault | None:
        """The first reason to end this node too; None while all is well.

        A node that is done leaves the others to finish, except the first: it speaks for the attempt.
        """
        for rank in self.ranks:
            fault = self._fault_of(rank, now_s - self._changed_at[rank])
            if fault is not None:
                return fault
        return None

    def _fault_of(self, rank: int, silent_s: float) -> PeerFault | None:
        state = self._states.get(rank)
        if state is None:
            late = silent_s > ABSENT_S
            return PeerFault("vanished", None, f"node {rank} did not come up in {ABSENT_S:.0f} s") if late else None
        if state.is_done:
            alone = rank == 0 and silent_s > FAREWELL_S
            return PeerFault("exited", 0, "node 0 has done all its work") if alone else None
        if state.is_over or state.cause:
            return PeerFault(state.cause, state.exit_code, f"node {rank}: {state.message or state.cause}")
        if silent_s > SILENT_S:
            return PeerFault("vanished", None, f"node {rank} has gone silent")
        return None
