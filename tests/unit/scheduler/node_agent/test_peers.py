"""What one node makes of what it reads of the others, on a clock of its own."""

from __future__ import annotations

import pytest

from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.message_format import NodeMessageError
from spotwise.scheduler.node_agent.peers import NodeState, PeerFault, Peers
from spotwise.scheduler.node_agent.timeouts import Timeouts

USUAL = Timeouts()


def make_peers(rank: int = 0, nodes: int = 3) -> Peers:
    return Peers(rank, nodes, USUAL, 0.0)


def living(peers: Peers, now_s: float, *ranks: int) -> None:
    """These have just beaten once more."""
    peers.update({rank: NodeState(rank, beat=int(now_s * 10)) for rank in ranks}, now_s)


def test_a_node_alone_has_nobody_to_watch() -> None:
    peers = make_peers(nodes=1)
    assert (peers.ranks, peers.fault(), peers.all_gone()) == ((), None, True)


def test_nodes_that_beat_are_no_reason_to_leave() -> None:
    peers = make_peers()
    for now_s in range(0, 1000, 10):
        living(peers, now_s, 1, 2)
        assert peers.fault() is None
    assert not peers.all_gone()


def test_a_node_that_beats_no_more_is_gone_after_a_while() -> None:
    peers = make_peers()
    living(peers, 0, 1, 2)
    living(peers, 39, 2)
    assert peers.fault() is None
    living(peers, 41, 2)
    assert peers.fault() == PeerFault(1, EndCause.VANISHED, "node 1 has gone silent")


def test_while_nobody_can_be_read_nobody_is_taken_for_dead() -> None:
    """The storage is away for an hour: so it is for the others, which go on training."""
    peers = make_peers()
    living(peers, 0, 1, 2)
    for now_s in range(10, 3600, 10):
        peers.not_heard(now_s)
        assert peers.fault() is None
    peers.update({1: NodeState(1, beat=0)}, 3601)
    assert peers.fault() is None
    peers.update({1: NodeState(1, beat=0)}, 3650)
    assert peers.fault() is not None


def test_a_read_that_hangs_makes_nobody_silent() -> None:
    """Silence ends at the last time that the file was read, whatever the clock says meanwhile."""
    peers = make_peers()
    living(peers, 0, 1, 2)
    living(peers, 100, 1, 2)
    assert peers.fault() is None


def test_a_node_that_never_comes_up_is_waited_for_longer() -> None:
    peers = make_peers()
    living(peers, 599, 1)
    assert peers.fault() is None
    living(peers, 601, 1)
    assert peers.fault() == PeerFault(2, EndCause.VANISHED, "node 2 did not come up in 600 s")


def test_a_node_that_is_about_to_leave_says_how_long_it_has() -> None:
    peers = make_peers()
    peers.update({1: NodeState(1, cause=EndCause.PREEMPTED, grace_s=117.0)}, 1)
    assert peers.fault() == PeerFault(1, EndCause.PREEMPTED, "node 1: preempted", None, 117.0)


def test_a_crash_is_told_with_its_exit_code() -> None:
    peers = make_peers()
    peers.update({2: NodeState(2, 5, True, EndCause.EXITED, 3, "it crashed")}, 1)
    assert peers.fault() == PeerFault(2, EndCause.EXITED, "node 2: it crashed", 3)


def test_what_befell_a_machine_comes_before_the_crash_that_followed_from_it() -> None:
    peers = make_peers()
    crashed, taken = NodeState(1, 5, True, EndCause.EXITED, 1), NodeState(2, 5, cause=EndCause.PREEMPTED)
    peers.update({1: crashed, 2: taken}, 1)
    fault = peers.fault()
    assert fault is not None
    assert (fault.rank, fault.cause) == (2, EndCause.PREEMPTED)


def test_a_node_that_left_because_of_this_one_is_no_reason() -> None:
    peers = make_peers()
    peers.update({1: NodeState(1, 5, True, EndCause.EXITED, 3, because_of=0)}, 1)
    assert peers.fault() is None


def test_a_node_that_is_done_leaves_the_others_to_finish() -> None:
    peers = make_peers()
    for now_s in range(0, 1000, 10):
        peers.update({1: NodeState(1, 5, True, EndCause.EXITED, 0)}, now_s)
        living(peers, now_s, 2)
        assert peers.fault() is None


def test_the_others_end_a_while_after_the_first_is_done_though_it_still_beats() -> None:
    peers = make_peers(rank=1, nodes=2)
    for now_s in (0, 29):
        peers.update({0: NodeState(0, now_s, True, EndCause.EXITED, 0)}, now_s)
        assert peers.fault() is None
    peers.update({0: NodeState(0, 31, True, EndCause.EXITED, 0)}, 31)
    assert peers.fault() == PeerFault(0, EndCause.EXITED, "node 0 has done all its work", 0)


def test_all_are_gone_when_each_is_over_or_silent() -> None:
    peers = make_peers()
    living(peers, 0, 1, 2)
    peers.update({1: NodeState(1, 9, True, EndCause.EXITED, 0)}, 1)
    assert not peers.all_gone()
    peers.update({}, 50)
    assert peers.all_gone()


@pytest.mark.parametrize("state", [NodeState(1), NodeState(1, 3, True, EndCause.EXITED, 3, "said", 2.5, 0)])
def test_a_state_is_read_as_it_was_written(state: NodeState) -> None:
    assert NodeState.from_json(state.to_json()) == state


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"rank": "1"}'])
def test_what_is_no_state_is_none(garbage: bytes) -> None:
    assert NodeState.from_json(garbage) is None


def test_a_state_of_the_version_before_is_read() -> None:
    """It held no format, and an empty text where there was no cause."""
    assert NodeState.from_json(b'{"rank": 1, "beat": 2, "cause": ""}') == NodeState(1, 2)
    assert NodeState.from_json(b'{"rank": 1, "cause": "vanished"}') == NodeState(1, cause=EndCause.VANISHED)


def test_a_state_of_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(NodeMessageError, match="has format 2, this spotwise reads 1: upgrade it"):
        NodeState.from_json(b'{"rank": 1, "format": 2, "mood": "fine"}')
