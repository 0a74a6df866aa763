from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spotwise.scheduler.node_agent.end_attribution import explained, may_have_a_reason, reconsidered
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.peers import PeerFault
from spotwise.scheduler.node_agent.program_end import ProgramEnd
from spotwise.scheduler.node_agent.runner import StopOrder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CRASH = ProgramEnd(EndCause.EXITED, NOW, 1, "the command ended with exit code 1")
DONE = ProgramEnd(EndCause.EXITED, NOW, 0, "the command ended with exit code 0")
LEFT = ProgramEnd(EndCause.PREEMPTED, NOW, 75, "preempted; the program saved and left")
TAKEN = PeerFault(1, EndCause.PREEMPTED, "node 1: preempted", None, 25.0)
FELL = PeerFault(1, EndCause.EXITED, "node 1: it crashed", 3)
SILENT = PeerFault(1, EndCause.VANISHED, "node 1 has gone silent")


@pytest.mark.parametrize(
    ("code", "nodes", "may"),
    [(0, 1, True), (1, 1, False), (1, 2, True), (75, 1, True), (143, 1, True), (137, 1, False)],
)
def test_which_ends_are_looked_at_twice(code: int, nodes: int, may: bool) -> None:
    assert may_have_a_reason(CRASH._replace(exit_code=code), nodes) is may


def test_a_setup_that_failed_did_so_by_itself() -> None:
    assert not may_have_a_reason(CRASH._replace(cause=EndCause.SETUP_FAILED), 2)


@pytest.mark.parametrize("fault", [TAKEN, SILENT, None])
def test_what_befell_another_machine_leaves_an_end_with_0_as_it_is(fault: PeerFault | None) -> None:
    assert explained(DONE, fault) == DONE


def test_a_program_that_left_with_0_because_another_crashed_has_not_done_its_work() -> None:
    assert explained(DONE, FELL) == ProgramEnd(EndCause.EXITED, NOW, 3, "node 1: it crashed")


def test_without_another_node_in_it_an_end_stays_what_it_is() -> None:
    assert explained(LEFT, None) == LEFT
    assert reconsidered(CRASH, None, None) == CRASH


def test_a_crash_elsewhere_gives_cause_exit_code_and_message() -> None:
    told = ProgramEnd(EndCause.EXITED, NOW, 143, "exited; the program left with exit code 143")
    assert explained(told, FELL) == ProgramEnd(EndCause.EXITED, NOW, 3, "node 1: it crashed")


def test_a_node_that_was_taken_gives_the_cause_and_this_program_its_exit_code() -> None:
    assert explained(LEFT, TAKEN) == LEFT._replace(message="node 1: preempted; the program saved and left")


def test_a_node_that_is_silent_is_named() -> None:
    left = ProgramEnd(EndCause.VANISHED, NOW, 143, "vanished; the program left with exit code 143")
    assert explained(left, SILENT).message == f"node 1 has gone silent: {left.message}"


def test_a_program_that_fell_with_a_node_that_was_taken_has_not_crashed() -> None:
    seen = reconsidered(CRASH, StopOrder(EndCause.PREEMPTED, NOW), TAKEN)
    message = "node 1: preempted; the program had ended with exit code 1"
    assert seen == ProgramEnd(EndCause.PREEMPTED, NOW, 1, message)


def test_of_two_crashes_the_own_exit_code_stays_and_both_are_told() -> None:
    seen = reconsidered(CRASH, StopOrder(EndCause.EXITED, NOW), FELL)
    assert seen == CRASH._replace(message="the command ended with exit code 1; node 1: it crashed")
