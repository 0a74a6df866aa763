"""Preemptions with real processes: who is told, who may save, and that nothing outlives the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from machines import make_market, make_request, processes_under, processes_with, seen_ended, spot_offer, wait_for

from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.base import Handle, Observation
from spotwise.scheduler.engines.local.engine import LocalEngine
from spotwise.scheduler.engines.local.market import EmulatedMarket
from spotwise.scheduler.node_agent.end_cause import EndCause

MakeEngine = Callable[[EmulatedMarket | None], LocalEngine]
CLOCK = SystemClock()

# Saves for a moment when told, then leaves with the code for it; says whether it was told.
SAVES = """
import signal, sys, time
def save(number, frame):
    print("told", flush=True)
    time.sleep(0.3)
    print("saved", flush=True)
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
IGNORES = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) < 3:
    for flag in ("same", "own"):
        subprocess.Popen([sys.executable, __file__, flag, "child"], start_new_session=flag == "own")
    print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def program(home: Path) -> Callable[[str], str]:
    """Writes a Python program and gives the shell command that runs it."""

    def write(text: str) -> str:
        path = home / "program.py"
        path.write_text(text)
        return f"{sys.executable} {path}"

    return write


def run_until_preempted(engine: LocalEngine, home: Path, command: str) -> tuple[list[str], Observation]:
    """Run on a machine that is taken soon after the program is ready."""
    handle = engine.launch(make_request(home, spot_offer(engine), command))
    end = seen_ended(engine, handle, CLOCK)
    return list(engine.logs(handle)), end


@pytest.fixture
def short_lived(make_engine: MakeEngine) -> LocalEngine:
    return make_engine(make_market(lifetime_hours=2.5))


def assert_preempted_after_saving(log: list[str], end: Observation) -> None:
    assert [line for line in log if not line.startswith("[spotwise]")] == ["ready", "told", "saved"]
    assert (end.cause, end.exit_code) == (EndCause.PREEMPTED, 75)
    assert end.launched_at is not None
    assert end.started_at is not None
    assert end.notice_at is not None
    assert end.ended_at is not None
    assert end.launched_at <= end.started_at <= end.notice_at <= end.ended_at


def test_a_program_that_saves_on_notice_is_preempted_with_its_own_code(
    short_lived: LocalEngine, home: Path, program: Callable[[str], str]
) -> None:
    assert_preempted_after_saving(*run_until_preempted(short_lived, home, f"{program(SAVES)} 75"))


def test_a_program_that_leaves_with_0_on_notice_was_preempted_and_says_its_code(
    short_lived: LocalEngine, home: Path, program: Callable[[str], str]
) -> None:
    """As PyTorch Lightning's fit() does on SIGTERM: whether all work is done, its progress must say."""
    _, end = run_until_preempted(short_lived, home, f"{program(SAVES)} 0")
    assert (end.cause, end.exit_code, end.notice_at is not None) == (EndCause.PREEMPTED, 0, True)


def test_a_program_that_is_killed_before_tee_has_not_ended_well(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(None)
    command = f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)' | tee log; exit $?"
    handle = engine.launch(make_request(home, engine.offers()[0], command))
    assert seen_ended(engine, handle, CLOCK).exit_code == 137


def test_a_setup_may_answer_questions_with_yes(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(None)
    request = replace(make_request(home, engine.offers()[0], "exit 3"), setup="yes | head -1 > /dev/null")
    assert seen_ended(engine, engine.launch(request), CLOCK).exit_code == 3


def test_a_program_in_a_script_of_several_lines_is_told_too_and_no_further_line_runs(
    short_lived: LocalEngine, home: Path, program: Callable[[str], str]
) -> None:
    """The shell would die of SIGTERM and tell nobody."""
    script = f"cd .\n{program(SAVES)} 75\necho next line"
    assert_preempted_after_saving(*run_until_preempted(short_lived, home, script))


def test_a_program_that_pipes_into_tee_can_print_to_the_end(
    short_lived: LocalEngine, home: Path, program: Callable[[str], str]
) -> None:
    script = f"{program(SAVES)} 75 | tee copy.txt"
    assert_preempted_after_saving(*run_until_preempted(short_lived, home, script))
    assert (home / "copy.txt").read_text().split() == ["ready", "told", "saved"]


@pytest.mark.parametrize("after", ["", "\nexit $?"], ids=["alone", "in a script"])
def test_the_programs_children_are_not_told(
    short_lived: LocalEngine, home: Path, program: Callable[[str], str], after: str
) -> None:
    """A sweep host tells its trials itself; Ray's processes must not see the signal."""
    child = home / "child.sh"
    child.write_text(f"trap 'touch {home}/child-was-told' TERM; touch {home}/child-is-up; sleep 600 & wait")
    starts_child = f"import subprocess\nsubprocess.Popen(['bash', '{child}'])\n{SAVES}"
    _, end = run_until_preempted(short_lived, home, f"{program(starts_child)} 75{after}")
    assert end.exit_code == 75
    assert (home / "child-is-up").exists()
    assert not (home / "child-was-told").exists()
    assert processes_under(home) == []


def test_a_program_without_a_handler_dies_of_the_notice(short_lived: LocalEngine, home: Path) -> None:
    _, end = run_until_preempted(short_lived, home, "sleep 600")
    assert (end.cause, end.exit_code) == (EndCause.PREEMPTED, 143)


def test_a_program_that_ignores_the_notice_is_killed_with_its_whole_tree(
    make_engine: MakeEngine, home: Path, program: Callable[[str], str]
) -> None:
    """Also grandchildren that called setsid."""
    engine = make_engine(make_market(lifetime_hours=3, grace_s=0.5))
    handle = engine.launch(make_request(home, spot_offer(engine), program(IGNORES)))
    wait_for(lambda: len(_of_program(home)) == 3, CLOCK, what="program, child and child in a session of its own")
    tree = _of_program(home)
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code) == (EndCause.PREEMPTED, 137)
    assert not any(process.is_running() for process in tree)


def test_a_notice_during_setup_ends_the_attempt_before_the_command(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(make_market(lifetime_hours=0.5))
    handle = engine.launch(make_request(home, spot_offer(engine), "echo began", setup="sleep 600"))
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.started_at) == (EndCause.PREEMPTED, None)
    assert end.launched_at is not None
    assert "began" not in engine.logs(handle)


def test_a_pool_that_loses_its_capacity_while_the_machine_starts_bills_nothing(
    make_engine: MakeEngine, home: Path
) -> None:
    engine = make_engine(make_market(provision_hours=600, outage=(0.5, 600)))
    handle = engine.launch(make_request(home, spot_offer(engine), "echo began"))
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.launched_at) == (EndCause.NO_CAPACITY, None)
    assert "use1-az4" in end.message
    assert list(engine.logs(handle)) == []


def test_an_outage_ends_machines_that_would_have_lived(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(make_market(outage=(1.5, 600)))
    handle = engine.launch(make_request(home, spot_offer(engine), "sleep 600"))
    assert seen_ended(engine, handle, CLOCK).cause is EndCause.PREEMPTED
    assert engine.available()[spot_offer(engine).key] is False


def test_on_demand_machines_are_never_taken(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(make_market(lifetime_hours=0.2, outage=(0.3, 600)))
    offer = next(offer for offer in engine.offers() if not offer.is_spot)
    handle = engine.launch(make_request(home, offer, "sleep 1"))
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code, end.notice_at) == (EndCause.EXITED, 0, None)


def test_a_node_that_comes_up_after_its_machine_is_to_go_was_preempted_all_the_same(
    make_engine: MakeEngine, home: Path
) -> None:
    """A busy host must not turn a preemption, which is billed, into a pool without capacity, which rests."""
    engine = make_engine(make_market(provision_hours=0.001, lifetime_hours=0.001))  # no process is as quick as that
    handle = engine.launch(make_request(home, spot_offer(engine), "sleep 600"))
    end = seen_ended(engine, handle, CLOCK)
    assert end.cause is EndCause.PREEMPTED
    assert end.launched_at is not None
    assert end.notice_at is not None


def test_terminating_hastens_what_is_being_preempted(make_engine: MakeEngine, home: Path) -> None:
    """The first cause stays, the earliest deadline counts."""
    engine = make_engine(make_market(lifetime_hours=1.2, grace_s=600))
    handle = engine.launch(make_request(home, spot_offer(engine), "trap '' TERM; echo ready; sleep 600"))
    wait_for(lambda: engine.observe([handle])[handle.attempt_id].notice_at is not None, CLOCK, what="the notice")
    engine.terminate(handle, grace_s=0)
    assert seen_ended(engine, handle, CLOCK).cause is EndCause.PREEMPTED


def test_a_second_request_to_terminate_may_shorten_the_grace(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine(None)
    handle: Handle = engine.launch(make_request(home, engine.offers()[0], "trap '' TERM; echo ready; sleep 600"))
    wait_for(lambda: "ready" in engine.logs(handle), CLOCK, what="the program")
    engine.terminate(handle, grace_s=600)
    engine.terminate(handle, grace_s=0)
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code) == (EndCause.TERMINATED, 137)


def _of_program(home: Path) -> list[psutil.Process]:
    return processes_with(home, str(home / "program.py"))
