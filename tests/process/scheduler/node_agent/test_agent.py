"""The agent of one node, as a real process on a folder that scheduler and node both see."""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from node_agents import UNTIL_TOLD, Attempt, is_running, kill_tree, wait_until

AGENT = "spotwise.scheduler.node_agent"


def test_setup_and_command_run_in_the_work_folder_with_the_jobs_environment(attempt: Attempt) -> None:
    attempt.ask('echo "command sees $NAME in $PWD"', setup='echo "setup sees $NAME"')
    assert attempt.start(NAME="value").wait(60) == 0
    work = attempt.folder / "work"
    assert attempt.log().splitlines() == ["setup sees value", f"command sees value in {work}"]
    assert attempt.names() == ["up", "setup", "started", "ended"]


def test_what_the_program_finds(attempt: Attempt) -> None:
    names = ["PROGRESS_URL", "RUN_FOLDER", "WORKDIR", "SAVE_REQUEST", "PYTHON"]
    attempt.run("".join(f'echo "$SPOTWISE_{name}"\n' for name in names))
    run = attempt.folder / "run"
    found = [
        str(run / "progress.jsonl"),
        str(run),
        str(attempt.folder / "work"),
        str(run / f"attempts/{attempt.id}/save-0"),
    ]
    assert attempt.log().splitlines() == [*found, sys.executable]


def test_the_library_comes_before_what_the_job_has_on_its_own_path(attempt: Attempt) -> None:
    attempt.ask('echo "$PYTHONPATH"')
    attempt.start(SPOTWISE_LIBRARY="/library", PYTHONPATH="/own").wait(60)
    assert attempt.log() == "/library:/own\n"


def test_scripts_that_are_too_long_for_an_argument_run_from_files(attempt: Attempt) -> None:
    """Linux takes 128 KiB an argument; 277 kB is what a notebook that was pasted into `run` comes to."""
    filler = "# " + "x" * 277_000 + "\n"
    attempt.ask(f"{filler}echo ran; exit 3", setup=f"{filler}echo set up")
    assert attempt.start().wait(60) == 3
    assert attempt.log().splitlines() == ["set up", "ran"]


@pytest.mark.parametrize("code", [0, 1, 75, 127])
def test_the_commands_exit_code_is_passed_on(attempt: Attempt, code: int) -> None:
    assert attempt.run(f"exit {code}") == code
    message = f"the command ended with exit code {code}"
    assert attempt.event("ended") == {"cause": "exited", "exit_code": code, "message": message}


def test_a_setup_that_fails_ends_the_attempt_before_the_command(attempt: Attempt) -> None:
    assert attempt.run("echo never", setup="exit 4") == 4
    assert attempt.event("ended")["cause"] == "setup_failed"
    assert "never" not in attempt.log()


def test_sigterm_on_a_spot_machine_is_a_preemption_notice(attempt: Attempt) -> None:
    attempt.ask(UNTIL_TOLD)
    agent = attempt.start()
    attempt.wait_for_line("ready")
    agent.terminate()
    assert agent.wait(60) == 75
    assert attempt.names() == ["up", "started", "notice", "ended"]
    assert attempt.event("notice")["source"] == "SIGTERM"
    saved = {"cause": "preempted", "exit_code": 75, "message": "preempted; the program saved and left"}
    assert attempt.event("ended") == saved


def test_sigterm_on_a_machine_that_is_not_spot_means_that_it_was_taken_away(attempt: Attempt) -> None:
    attempt.ask(UNTIL_TOLD, is_spot=False)
    agent = attempt.start()
    attempt.wait_for_line("ready")
    agent.terminate()
    assert agent.wait(60) == 75
    assert attempt.event("ended")["cause"] == "vanished"


def test_sigterm_during_setup_ends_it_and_the_command_never_starts(attempt: Attempt) -> None:
    attempt.ask("echo never", setup="trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    agent = attempt.start()
    attempt.wait_for_line("ready")
    agent.terminate()
    assert agent.wait(60) != 0
    assert attempt.event("ended")["message"] == "preempted during setup"
    assert "started" not in attempt.names()


def test_sigterm_before_the_program_starts_keeps_it_from_starting(attempt: Attempt) -> None:
    """Sent as soon as the agent listens, which is before anything else that it does."""
    attempt.ask("sleep 600", setup="sleep 600")
    agent = attempt.start()
    listens = 1 << (signal.SIGTERM - 1)
    wait_until(lambda: _caught_signals(agent.pid) & listens != 0, "the agent's handler")
    agent.terminate()
    assert agent.wait(60) != 0
    assert attempt.event("ended")["cause"] == "preempted"


def _caught_signals(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))


def test_a_program_that_got_the_signal_before_its_agent_has_not_crashed(attempt: Attempt) -> None:
    """Some platforms send SIGTERM to every process of a machine, in any order."""
    attempt.ask("echo $$ > pid; " + UNTIL_TOLD)
    agent = attempt.start()
    attempt.wait_for_line("ready")
    program = int((attempt.folder / "work" / "pid").read_text())
    os.kill(program, signal.SIGTERM)
    wait_until(lambda: not is_running(program), "the program's end")
    agent.terminate()
    assert agent.wait(60) == 75
    assert attempt.event("ended")["cause"] == "preempted"


def test_a_request_to_terminate_is_obeyed_though_the_agent_is_in_no_haste(attempt: Attempt) -> None:
    attempt.ask(UNTIL_TOLD)
    agent = attempt.start(SPOTWISE_NODE_PATIENCE="1")
    attempt.wait_for_line("ready")
    attempt.stop_request(grace_s=30.0)
    wait_until(lambda: "ended" in attempt.names(), "the end")
    assert agent.wait(60) == 75
    assert attempt.event("terminating")["grace_s"] == 30.0
    assert attempt.event("ended")["cause"] == "terminated"


def test_an_attempt_that_was_ended_before_it_began_runs_nothing(attempt: Attempt) -> None:
    attempt.ask("echo never", setup="echo never")
    attempt.stop_request(grace_s=60.0)
    assert attempt.start().wait(60) == 143
    assert attempt.names() == ["up", "terminating", "ended"]
    message = "terminated before the program started"
    assert attempt.event("ended") == {"cause": "terminated", "exit_code": None, "message": message}
    assert attempt.log() == ""


def test_when_the_grace_is_over_the_whole_process_tree_is_killed(attempt: Attempt) -> None:
    """Also what has left the session and ignores SIGTERM."""
    stubborn = "trap '' TERM; echo $$ > {}; echo ready; while :; do sleep 0.05; done"
    (attempt.folder / "work").mkdir()
    (attempt.folder / "work" / "far.sh").write_text(stubborn.format("far"))
    attempt.ask("setsid bash far.sh & " + stubborn.format("near"))
    agent = attempt.start()
    attempt.wait_for_line("ready")
    wait_until((attempt.folder / "work" / "far").exists, "the process in a session of its own")
    attempt.stop_request(grace_s=0.3)
    assert agent.wait(60) == 137
    pids = [int((attempt.folder / "work" / name).read_text()) for name in ("near", "far")]
    assert [is_running(pid) for pid in pids] == [False, False]
    assert "[spotwise] time is up: killed" in attempt.log().splitlines()


def test_a_second_stop_request_with_less_grace_counts_and_one_with_more_does_not(attempt: Attempt) -> None:
    attempt.ask("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    agent = attempt.start()
    attempt.wait_for_line("ready")
    attempt.stop_request(grace_s=600.0)
    wait_until(lambda: "terminating" in attempt.names(), "the first request")
    attempt.stop_request(grace_s=0.2)
    assert agent.wait(60) == 137


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"null", b'{"asked_at": "2026-01-01", "grace_s": NaN}'])
def test_a_damaged_stop_request_is_one_without_grace(attempt: Attempt, damaged: bytes) -> None:
    attempt.ask("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    agent = attempt.start()
    attempt.wait_for_line("ready")
    attempt.put("terminate.json", damaged)
    assert agent.wait(60) == 137
    assert attempt.event("ended")["cause"] == "terminated"


def test_when_the_budget_is_spent_the_program_saves_and_leaves_though_nobody_watches(attempt: Attempt) -> None:
    attempt.ask(UNTIL_TOLD, stop_after_s=2.0, stop_grace_s=20.0)
    assert attempt.start().wait(60) == 75
    assert attempt.event("ended")["cause"] == "terminated"
    assert any("budget" in line for line in attempt.log().splitlines())


def test_a_second_agent_of_the_same_attempt_leaves_while_the_first_runs_and_later(attempt: Attempt) -> None:
    attempt.ask("echo began >> began; " + UNTIL_TOLD)
    first = attempt.start()
    attempt.wait_for_line("ready")
    assert attempt.start().wait(60) == 0
    first.terminate()
    assert first.wait(60) == 75
    assert attempt.start().wait(60) == 0
    assert (attempt.folder / "work" / "began").read_text() == "began\n"
    assert attempt.names().count("ended") == 1
    assert "nothing to do" in attempt.output().read_text()


def test_an_attempt_whose_agent_was_killed_is_not_run_again(attempt: Attempt) -> None:
    attempt.ask("echo began >> began; " + UNTIL_TOLD)
    first = attempt.start()
    attempt.wait_for_line("ready")
    kill_tree(first)
    assert attempt.start().wait(60) == 0
    assert (attempt.folder / "work" / "began").read_text() == "began\n"


def test_what_the_program_prints_is_in_the_log_and_in_the_agents_own_output(attempt: Attempt) -> None:
    attempt.run("echo out; echo err >&2; printf 'no line end'")
    assert attempt.log() == "out\nerr\nno line end"
    assert attempt.output().read_text() == "out\nerr\nno line end"


def test_an_agent_without_a_request_says_so_and_runs_nothing(attempt: Attempt) -> None:
    assert attempt.start().wait(60) == 78
    assert f"nobody asks for this attempt: {platform.node()} sees no /" in attempt.output().read_text()


@pytest.mark.parametrize("request_", [b"", b"[]", b'{"format": 2}', b'{"format": 1}', b"\xff"])
def test_an_agent_whose_request_is_damaged_says_so_and_runs_nothing(attempt: Attempt, request_: bytes) -> None:
    attempt.put("request.json", request_)
    assert attempt.start().wait(60) == 78
    assert "is no request for a node" in attempt.output().read_text()
    assert attempt.events() == []


def test_torn_events_of_the_same_attempt_are_not_taken_for_a_run(attempt: Attempt) -> None:
    attempt.put("events.jsonl", b'{"event": "up", "ti')
    assert attempt.run("echo ran") == 0
    assert attempt.names() == ["up", "started", "ended"]


class Metadata(BaseHTTPRequestHandler):
    """AWS' metadata server; what stands in ``says`` is what the cloud has to tell."""

    says: ClassVar[dict[str, str]] = {}

    def answer(self) -> None:
        text = "token" if self.command == "PUT" else self.says.get(self.path.rpartition("/")[2])
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    do_GET = do_PUT = answer  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def aws() -> Iterator[dict[str, str]]:
    """What to add to an agent's environment; its words are `Metadata.says`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Metadata.says = {}
    yield {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
    server.shutdown()
    server.server_close()


def test_a_clouds_recommendation_is_a_request_to_save_and_training_goes_on(
    attempt: Attempt, aws: dict[str, str]
) -> None:
    Metadata.says["rebalance"] = '{"noticeTime": "2026-11-24T08:16:00Z"}'
    attempt.ask('until [ -e "$SPOTWISE_SAVE_REQUEST" ]; do sleep 0.05; done; echo asked', cloud="aws")
    assert attempt.start(**aws).wait(60) == 0
    assert attempt.event("rebalance")["source"] == "AWS instance metadata"
    assert "notice" not in attempt.names()


def test_a_clouds_preemption_notice_makes_the_program_save_and_leave(attempt: Attempt, aws: dict[str, str]) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=2)
    Metadata.says["instance-action"] = json.dumps({"action": "terminate", "time": f"{soon:%Y-%m-%dT%H:%M:%SZ}"})
    attempt.ask(f"sleep 0.5; {UNTIL_TOLD}", setup="sleep 0", cloud="aws")
    assert attempt.start(**aws).wait(60) != 0
    assert attempt.event("notice")["source"] == "AWS instance metadata"
    assert attempt.event("ended")["cause"] == "preempted"


@pytest.mark.slow
def test_fifty_megabytes_printed_at_once_cost_no_memory_and_no_heartbeat(attempt: Attempt) -> None:
    attempt.ask("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo done; " + UNTIL_TOLD)
    agent = attempt.start()
    attempt.wait_for_line("ready")
    beats = attempt.read("node-0.json")
    wait_until(lambda: attempt.read("node-0.json") != beats, "another beat")
    peak = _peak_memory(agent.pid)
    attempt.stop_request(grace_s=30.0)
    assert agent.wait(60) == 75
    assert attempt.output().stat().st_size == len(attempt.read("log-0.txt")) > 50_000_000
    assert peak < 60_000_000


def _peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_a_reader_of_the_output_that_stalls_keeps_nothing_from_being_seen(attempt: Attempt) -> None:
    """The platform's end of the pipe is full, and the request to end is obeyed all the same."""
    attempt.ask("head -c 1000000 /dev/zero; echo; " + UNTIL_TOLD)
    reading, writing = os.pipe()
    environ = {**os.environ, **attempt._names(0, "")}
    (attempt.folder / "work").mkdir()
    command = [sys.executable, "-P", "-m", AGENT]
    agent = subprocess.Popen(command, cwd=attempt.folder / "work", env=environ, stdout=writing, start_new_session=True)
    attempt.agents.append(agent)
    os.close(writing)
    wait_until(lambda: "ready" in attempt.log(), "the program")
    attempt.stop_request(grace_s=30.0)
    assert agent.wait(60) == 75
    os.close(reading)
    assert attempt.event("ended")["cause"] == "terminated"


def test_an_agent_imports_nothing_heavy() -> None:
    """One is started for every attempt, on a machine that costs money."""
    heavy = {"numpy", "pydantic", "yaml", "sqlalchemy", "torch", "ray", "fsspec", "decimal", "asyncio"}
    code = f"import sys, {AGENT}.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert f"{AGENT}.agent" in modules
    assert heavy & set(modules) == set()


def test_an_agent_that_has_little_to_do_costs_little(attempt: Attempt) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    attempt.run("true")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = timedelta(seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert used < timedelta(seconds=3)  # 0.3 s on a machine that has nothing else to do
