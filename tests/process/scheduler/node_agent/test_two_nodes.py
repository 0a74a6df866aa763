"""An attempt of two nodes: real agents that share the run's folder. What becomes of one becomes of both."""

from __future__ import annotations

import subprocess

import pytest
from node_agents import UNTIL_TOLD, Attempt, kill_tree, wait_until

FOREVER = "trap 'exit 75' TERM; echo ready; while :; do sleep 0.05; done"


def start_both(attempt: Attempt, command: str, **changes: object) -> tuple[subprocess.Popen[bytes], ...]:
    attempt.ask(command, nodes=2, **changes)
    return attempt.start(0), attempt.start(1)


def by_rank(first: str, second: str) -> str:
    """A command that does one thing on node 0 and another on node 1."""
    return f'if [ "$SKYPILOT_NODE_RANK" = 0 ]; then {first}; else {second}; fi'


def test_both_nodes_run_the_command_and_end_well(attempt: Attempt) -> None:
    first, second = start_both(attempt, 'echo "node $SKYPILOT_NODE_RANK"')
    assert [first.wait(60), second.wait(60)] == [0, 0]
    assert [attempt.log(0), attempt.log(1)] == ["node 0\n", "node 1\n"]
    assert attempt.event("ended")["exit_code"] == 0
    assert attempt.names() == ["up", "started", "ended"]  # of the first node alone


def test_a_crash_on_the_other_node_is_how_the_attempt_ended(attempt: Attempt) -> None:
    first, second = start_both(attempt, by_rank(FOREVER, "sleep 0.3; exit 3"))
    assert [first.wait(60), second.wait(60)] == [3, 3]
    message = "node 1: the command ended with exit code 3"
    assert attempt.event("ended") == {"cause": "exited", "exit_code": 3, "message": message}
    assert f"[spotwise] {message}: ending this node too" in attempt.log(0).splitlines()


def test_a_crash_on_the_first_node_ends_the_other(attempt: Attempt) -> None:
    first, second = start_both(attempt, by_rank("sleep 0.3; exit 3", FOREVER))
    assert first.wait(60) == 3
    assert second.wait(60) == 3
    message = "the command ended with exit code 3"
    assert attempt.event("ended") == {"cause": "exited", "exit_code": 3, "message": message}


def test_a_setup_that_fails_on_one_node_ends_both(attempt: Attempt) -> None:
    first, second = start_both(attempt, "echo never; sleep 600", setup=by_rank("sleep 600", "exit 5"))
    assert [first.wait(60), second.wait(60)] == [5, 5]
    end = attempt.event("ended")
    assert (end["cause"], end["exit_code"]) == ("setup_failed", 5)
    assert "node 1" in str(end["message"])
    assert "never" not in attempt.log(0) + attempt.log(1)


@pytest.mark.slow
def test_a_node_that_is_gone_without_a_word_ends_the_attempt(attempt: Attempt) -> None:
    first, second = start_both(attempt, UNTIL_TOLD)
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    kill_tree(second)
    assert first.wait(60) == 75
    end = attempt.event("ended")
    assert end["cause"] == "vanished"
    assert "node 1 has gone silent" in str(end["message"])


@pytest.mark.slow
def test_when_the_first_node_is_gone_the_other_leaves_too(attempt: Attempt) -> None:
    first, second = start_both(attempt, UNTIL_TOLD)
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    kill_tree(first)
    assert second.wait(60) == 75
    assert "[spotwise] node 0 has gone silent: ending this node too" in attempt.log(1).splitlines()


@pytest.mark.parametrize("told", [0, 1])
def test_sigterm_to_one_node_is_a_preemption_of_both(attempt: Attempt, told: int) -> None:
    agents = start_both(attempt, UNTIL_TOLD)
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    agents[told].terminate()
    assert [agent.wait(60) for agent in agents] == [75, 75]
    assert "saved" in attempt.log(0)
    assert "saved" in attempt.log(1)
    assert attempt.names() == ["up", "started", "notice", "ended"]
    message = ("" if told == 0 else "node 1: ") + "preempted; the program saved and left"
    assert attempt.event("ended") == {"cause": "preempted", "exit_code": 75, "message": message}


def test_a_program_that_falls_because_the_other_node_was_told_to_leave_has_not_crashed(attempt: Attempt) -> None:
    """As torchrun does: the ranks agree to leave, and its exit code is 1, maybe before its own agent knows why."""
    leaving = "trap 'touch left; exit 75' TERM; echo ready; while :; do sleep 0.02; done"
    # Its own agent may pass the notice on before the program sees the other leave: it outlives that, as torchrun does.
    falling = "trap '' TERM; echo ready; until [ -e left ]; do sleep 0.02; done; exit 1"
    first, second = start_both(attempt, by_rank(falling, leaving))
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    second.terminate()
    assert [second.wait(60), first.wait(60)] == [75, 1]
    end = attempt.event("ended")
    assert (end["cause"], end["exit_code"]) == ("preempted", 1)


def test_a_request_to_terminate_ends_both(attempt: Attempt) -> None:
    agents = start_both(attempt, UNTIL_TOLD)
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    attempt.stop_request(grace_s=30.0)
    assert [agent.wait(60) for agent in agents] == [75, 75]
    end = attempt.event("ended")
    assert (end["cause"], end["exit_code"]) == ("terminated", 75)


def test_a_node_that_saves_longer_than_the_other_keeps_its_time(attempt: Attempt) -> None:
    """Only the first rank writes checkpoints; the others have left long before. A SIGTERM's grace is 2.5 s here."""
    slow = "trap 'sleep 4; echo saved; exit 75' TERM; echo ready; while :; do sleep 0.05; done"
    agents = start_both(attempt, by_rank(slow, FOREVER))
    for rank in (0, 1):
        attempt.wait_for_line("ready", rank)
    attempt.stop_request(grace_s=60.0)
    assert [agent.wait(60) for agent in agents] == [75, 75]
    assert "saved" in attempt.log(0).splitlines()


def test_the_attempt_has_not_ended_before_the_last_node_has(attempt: Attempt) -> None:
    first, second = start_both(attempt, by_rank("echo done", "sleep 1.5; echo done"))
    wait_until(lambda: b'"is_over": true' in attempt.read("node-0.json"), "the first node's end")
    assert "ended" not in attempt.names()
    assert [first.wait(60), second.wait(60)] == [0, 0]
    assert attempt.log(1) == "done\n"
    assert attempt.event("ended")["exit_code"] == 0


@pytest.mark.slow
def test_a_node_that_goes_on_for_ever_after_the_first_is_done_is_ended(attempt: Attempt) -> None:
    first, second = start_both(attempt, by_rank("echo done", FOREVER))
    assert first.wait(60) == 0
    second.wait(60)
    assert attempt.event("ended")["exit_code"] == 0
    assert "node 0 has done all its work" in attempt.log(1)


def test_a_node_that_failed_stays_until_the_first_has_written_it_down(attempt: Attempt) -> None:
    """A platform that sees one node fail kills the others at once."""
    first, second = start_both(attempt, by_rank("trap 'sleep 1; exit 75' TERM; while :; do sleep 0.05; done", "exit 3"))
    assert second.wait(60) == 3
    kill_tree(first)
    assert attempt.event("ended")["exit_code"] == 3


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"rank": 1, "beat": 3, "new": 1}', b"\xff"])
def test_garbage_in_the_other_nodes_file_is_passed_over(attempt: Attempt, garbage: bytes) -> None:
    attempt.ask(FOREVER, nodes=2)
    first = attempt.start(0)
    attempt.wait_for_line("ready")
    attempt.put("node-1.json", garbage)
    attempt.stop_request(grace_s=30.0)
    assert first.wait(60) == 75
    assert attempt.event("ended")["cause"] == "terminated"
