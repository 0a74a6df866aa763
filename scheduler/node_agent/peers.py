"""The nodes of one attempt watch each other: the loss of one ends the attempt for all. Pure but for `Peers`' memory.

Each node keeps one small file, ``node-<rank>.json``, and reads those of the others. Silence is measured on the reader's
own steady clock, from the last time that the file changed to the last time that it could be read: clocks of different
machines never meet, and a reader that is cut off itself takes nobody for dead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from spotwise.checkpoints.strict_json import LARGEST_SMALL, LARGEST_WHOLE, Fields, UnreadableError

from .end_cause import EndCause
from .message_format import FORMAT, check_format
from .task import LONGEST_GRACE_S
from .timeouts import Timeouts


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node says of itself."""

    rank: int
    beat: int = 0  # grows while it lives
    is_over: bool = False
    cause: EndCause | None = None  # why it is over, or about to leave
    exit_code: int | None = None
    message: str = ""
    grace_s: float | None = None  # about to leave: how long its program had when it was told
    because_of: int | None = None  # the rank of another node, where that was its reason
    at: str = ""  # when it said so, by its own clock: ISO 8601
    format: int = FORMAT

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> NodeState | None:
        """None where it cannot be understood: a file that is just being replaced is read again.

        Raises:
            NodeMessageError: a node with a newer spotwise wrote it.
        """
        try:
            fields = Fields.of(data)
            check_format(fields.all, source="the state of another node")
            return cls(
                rank=fields.whole("rank"),
                beat=fields.whole("beat", 0, high=LARGEST_WHOLE),
                is_over=fields.flag("is_over", False),
                cause=fields.member("cause", EndCause) if fields.all.get("cause") else None,
                exit_code=fields.optional_whole("exit_code", low=-LARGEST_SMALL),
                message=fields.text("message", ""),
                grace_s=fields.optional_number("grace_s", low=-LONGEST_GRACE_S, high=LONGEST_GRACE_S),
                because_of=fields.optional_whole("because_of"),
                at=fields.text("at", ""),
                format=fields.whole("format", FORMAT),
            )
        except UnreadableError:
            return None

    @property
    def is_done(self) -> bool:
        """All its work is done."""
        return self.is_over and self.cause is EndCause.EXITED and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class PeerFault:
    """Why a node cannot go on without another."""

    rank: int
    cause: EndCause
    message: str
    exit_code: int | None = None  # of its program, where that has ended
    grace_s: float | None = None  # how long it has itself, where it is only about to leave

    @property
    def is_a_crash(self) -> bool:
        """Whether it is what its program did that ends the attempt, and not what befell its machine."""
        return self.cause in (EndCause.EXITED, EndCause.SETUP_FAILED)

    @property
    def has_failed(self) -> bool:
        """Whether its program ended by itself, and not well."""
        return self.is_a_crash and self.exit_code != 0


class Peers:
    """The other nodes as one of them sees them."""

    def __init__(self, rank: int, nodes: int, timeouts: Timeouts, now_s: float) -> None:
        """``now_s``: seconds of a steady clock."""
        self._rank, self._timeouts, self._looked_at = rank, timeouts, now_s
        self._changed_at = {other: now_s for other in range(nodes) if other != rank}
        self._done_at: dict[int, float] = {}
        self._states: dict[int, NodeState] = {}

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(self._changed_at)

    def update(self, states: Mapping[int, NodeState], now_s: float) -> None:
        """Take in what was read just now."""
        self._looked_at = now_s
        for rank, state in states.items():
            if self._states.get(rank) != state:
                self._states[rank], self._changed_at[rank] = state, now_s
            if state.is_done:
                self._done_at.setdefault(rank, now_s)

    def not_heard(self, now_s: float) -> None:
        """Nobody can be read. Others may be as cut off as this node is, so everybody's silence begins anew."""
        self._looked_at = now_s
        self._changed_at = dict.fromkeys(self._changed_at, now_s)

    def is_silent(self, rank: int) -> bool:
        return self._silent_s(rank) > self._timeouts.silent_s

    def all_gone(self) -> bool:
        """Whether nothing is to be expected of any of them."""
        states = {rank: self._states.get(rank) for rank in self.ranks}
        return all((state is not None and state.is_over) or self.is_silent(rank) for rank, state in states.items())

    def fault(self) -> PeerFault | None:
        """The first reason to end this node too; None while all is well.

        A node that is done leaves the others to finish, except the first: it speaks for the attempt. Programs fall
        with a machine that is taken, so what befell a machine comes before crashes.
        """
        faults = [fault for rank in self.ranks if (fault := self._fault_of(rank)) is not None]
        return min(faults, key=lambda fault: (fault.is_a_crash, fault.rank), default=None)

    def _fault_of(self, rank: int) -> PeerFault | None:
        state = self._states.get(rank)
        if state is not None and state.because_of == self._rank:
            return None  # an echo of what became of this node
        if state is None:
            late = self._silent_s(rank) > self._timeouts.absent_s
            message = f"node {rank} did not come up in {self._timeouts.absent_s:.0f} s"
            return PeerFault(rank, EndCause.VANISHED, message) if late else None
        if state.is_done:
            alone = rank == 0 and self._looked_at - self._done_at[rank] > self._timeouts.farewell_s
            return PeerFault(rank, EndCause.EXITED, "node 0 has done all its work", 0) if alone else None
        if state.cause is not None:
            message = f"node {rank}: {state.message or state.cause}"
            return PeerFault(rank, state.cause, message, state.exit_code, state.grace_s)
        if self.is_silent(rank):
            return PeerFault(rank, EndCause.VANISHED, f"node {rank} has gone silent")
        return None

    def _silent_s(self, rank: int) -> float:
        return self._looked_at - self._changed_at[rank]
