"""Any process may be killed at any moment: what the engine says afterwards, and what must not be left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from machines import PATIENCE_S, make_request, processes_under, seen_ended, wait_for

from spotwise.checkpoints.atomic_file import write_once
from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.core.errors import EngineError
from spotwise.scheduler.engines.base import Handle, LaunchRequest, Phase
from spotwise.scheduler.engines.local.engine import NODE_MODULE, LocalEngine
from spotwise.scheduler.engines.local.folder import AttemptFolder, NodeRequest
from spotwise.scheduler.engines.local.market import EmulatedMarket
from spotwise.scheduler.node_agent.end_cause import EndCause

MakeEngine = Callable[[EmulatedMarket | None], LocalEngine]
CLOCK = SystemClock()
# The program, one in a session of its own, and an orphan that wiped its environment as setproctitle does.
TREE = "echo ready; setsid sleep 61 & (env -i sleep 62 &); sleep 63"


@pytest.fixture
def engine(make_engine: MakeEngine) -> LocalEngine:
    return make_engine(None)


def request_of(home: Path, engine: LocalEngine, command: str, **changes: object) -> LaunchRequest:
    return make_request(home, engine.offers()[0], command, **changes)


def launch_and_wait_for(engine: LocalEngine, home: Path, command: str, line: str) -> Handle:
    handle = engine.launch(request_of(home, engine, command))
    wait_for(lambda: line in engine.logs(handle), CLOCK, what=line)
    return handle


def node_of(handle: Handle) -> psutil.Process:
    return psutil.Process(AttemptFolder.of(handle.folder, handle.attempt_id).events()[0].data["pid"])


def kill_node(handle: Handle) -> None:
    node = node_of(handle)
    node.kill()
    node.wait(PATIENCE_S)


def tree_below(handle: Handle) -> list[psutil.Process]:
    """Program and children, once all three sleep."""
    node = node_of(handle)
    wait_for(lambda: len(_sleepers(node)) == 3, CLOCK, what="three sleeping processes")
    return _sleepers(node)


def _sleepers(node: psutil.Process) -> list[psutil.Process]:
    return [p for p in node.children(recursive=True) if p.name() == "sleep"]


@pytest.mark.parametrize("how", ["observe", "terminate"])
def test_a_killed_node_is_a_machine_that_vanished_and_nothing_of_it_is_left(
    engine: LocalEngine, home: Path, how: str
) -> None:
    handle = launch_and_wait_for(engine, home, TREE, "ready")
    tree = tree_below(handle)
    kill_node(handle)
    assert all(process.is_running() for process in tree)
    if how == "terminate":
        engine.terminate(handle, grace_s=30)
    else:
        engine.observe([handle])
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in tree)
    end = engine.observe([handle])[handle.attempt_id]
    assert (end.phase, end.cause, end.exit_code) == (Phase.ENDED, EndCause.VANISHED, None)


def test_a_vanished_machine_ended_when_it_was_last_known_to_live(
    engine: LocalEngine, home: Path, make_engine: MakeEngine
) -> None:
    """Whoever looks, and however late, sees the same end: a bill must not grow while nobody looks."""
    handle = launch_and_wait_for(engine, home, "echo ready; sleep 600", "ready")
    kill_node(handle)
    killed_at = datetime.now(UTC)
    CLOCK.sleep(0.3)
    end = engine.observe([handle])[handle.attempt_id]
    assert end.started_at is not None
    assert end.ended_at is not None
    assert end.started_at <= end.ended_at <= killed_at
    assert make_engine(None).observe([handle])[handle.attempt_id] == end


def test_other_attempts_survive_the_cleaning_up(engine: LocalEngine, home: Path) -> None:
    lost = launch_and_wait_for(engine, home, "echo ready; sleep 600", "ready")
    other = engine.launch(request_of(home, engine, "echo ready; sleep 600", number=2))
    wait_for(lambda: "ready" in engine.logs(other), CLOCK, what="the other")
    kill_node(lost)
    assert engine.observe([lost, other])[lost.attempt_id].cause is EndCause.VANISHED
    assert engine.observe([other])[other.attempt_id].phase is Phase.RUNNING
    assert any(process.name() == "sleep" for process in processes_under(home))


@pytest.mark.parametrize("script", ["exec sleep 600", "sleep 600", "sleep 600\nexit $?"], ids=["exec", "one", "script"])
def test_a_killed_program_has_exited_with_137(engine: LocalEngine, home: Path, script: str) -> None:
    """Whether a shell was between the node and the program or not."""
    handle = engine.launch(request_of(home, engine, script))
    wait_for(lambda: bool(_sleepers(node_of_started(engine, handle))), CLOCK, what="the program")
    os.kill(_sleepers(node_of(handle))[0].pid, signal.SIGKILL)
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 137)


def node_of_started(engine: LocalEngine, handle: Handle) -> psutil.Process:
    started = lambda: engine.observe([handle])[handle.attempt_id].phase is Phase.RUNNING  # noqa: E731
    wait_for(started, CLOCK, what="the command")
    return node_of(handle)


def test_what_a_program_leaves_behind_ends_with_the_attempt(engine: LocalEngine, home: Path) -> None:
    handle = engine.launch(request_of(home, engine, "setsid sleep 600 & echo ready"))
    assert seen_ended(engine, handle, CLOCK).exit_code == 0
    assert [process for process in processes_under(home) if process.name() == "sleep"] == []


def test_an_attempt_outlives_the_supervisor_that_launched_it(engine: LocalEngine, home: Path) -> None:
    supervisor = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[4] / "support")!r})
from machines import make_request
from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.local.engine import LocalEngine
home = Path({str(home)!r})
engine = LocalEngine(home, None, SystemClock())
engine.launch(make_request(home, engine.offers()[0], "while [ ! -e go ]; do sleep 0.05; done; exit 3"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", supervisor], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    handle = Handle("job-x1-a1", str(home))
    assert engine.observe([handle])[handle.attempt_id].phase is not Phase.ENDED
    (home / "go").touch()
    assert seen_ended(engine, handle, CLOCK).exit_code == 3


def requested_but_not_started(home: Path) -> AttemptFolder:
    """As a supervisor leaves it that dies between writing the request and starting the node."""
    folder = AttemptFolder.of(str(home), "job-x1-a1")
    folder.path.mkdir(parents=True)
    now = CLOCK.now()
    request = NodeRequest("job-x1-a1", "pool", "", "echo began", str(home), now, now, None, 0.0)
    assert write_once(folder.request_path, request.to_json())
    return folder


def test_a_launch_that_crashed_halfway_is_completed_by_the_next(engine: LocalEngine, home: Path) -> None:
    requested_but_not_started(home)
    handle = engine.launch(request_of(home, engine, "echo began"))
    assert seen_ended(engine, handle, CLOCK).exit_code == 0
    assert list(engine.logs(handle)) == ["began"]


def test_a_launch_that_crashed_halfway_and_was_observed_never_starts(engine: LocalEngine, home: Path) -> None:
    """Its node may be starting this very moment: whoever said that it ended must be right."""
    folder = requested_but_not_started(home)
    handle = Handle("job-x1-a1", str(home))
    end = engine.observe([handle])[handle.attempt_id]
    assert (end.cause, end.launched_at) == (EndCause.NO_CAPACITY, None)
    late_node = [sys.executable, "-m", NODE_MODULE, str(folder.path)]
    subprocess.run(late_node, input=b"{}", check=True)
    assert engine.launch(request_of(home, engine, "echo began")) == handle
    assert engine.observe([handle])[handle.attempt_id] == end
    assert not folder.log_path.exists()


def test_a_second_node_for_the_same_attempt_leaves_at_once(engine: LocalEngine, home: Path) -> None:
    handle = launch_and_wait_for(engine, home, "echo ready; sleep 600", "ready")
    folder = AttemptFolder.of(handle.folder, handle.attempt_id)
    before = folder.events()
    subprocess.run([sys.executable, "-m", NODE_MODULE, str(folder.path)], input=b"{}", check=True)
    assert folder.events() == before


def test_a_request_to_terminate_between_request_and_start_is_obeyed(engine: LocalEngine, home: Path) -> None:
    folder = requested_but_not_started(home)
    folder.ask_to_terminate(0.0)
    subprocess.run([sys.executable, "-m", NODE_MODULE, str(folder.path)], input=b"{}", check=True)
    end = seen_ended(engine, Handle("job-x1-a1", str(home)), CLOCK)
    assert (end.cause, end.launched_at) == (EndCause.WITHDRAWN, None)


def test_a_command_that_does_not_exist_exits_with_127(engine: LocalEngine, home: Path) -> None:
    handle = engine.launch(request_of(home, engine, "no-such-command --fast"))
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 127)
    assert "no-such-command" in "\n".join(engine.logs(handle))


def test_a_machine_without_bash_on_its_path_exits_with_126_and_says_so(engine: LocalEngine, home: Path) -> None:
    handle = engine.launch(request_of(home, engine, "true", env={"PATH": "/nowhere"}))
    assert seen_ended(engine, handle, CLOCK).exit_code == 126
    assert "cannot run bash" in "\n".join(engine.logs(handle))


def test_secrets_in_the_environment_never_touch_the_disk(engine: LocalEngine, home: Path) -> None:
    handle = engine.launch(request_of(home, engine, "test $KEY = hunter2", env={"KEY": "hunter2"}))
    assert seen_ended(engine, handle, CLOCK).exit_code == 0
    kept = [path for path in (home / "attempts").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"KEY=hunter2" in path.read_bytes() or b'"hunter2"' in path.read_bytes() for path in kept)


@pytest.mark.parametrize(
    ("changes", "words"), [({"nodes": 2}, "num_nodes: 1"), ({"workdir": "/no/such/folder"}, "/no/such/folder")]
)
def test_what_this_machine_cannot_run_is_refused_before_anything_starts(
    engine: LocalEngine, home: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        engine.launch(request_of(home, engine, "true", **changes))
    assert not (home / "attempts").exists()


def test_a_node_that_cannot_start_is_an_error_with_its_own_words(
    engine: LocalEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spotwise.scheduler.engines.local.engine.NODE_MODULE", "spotwise.no_such_module")
    with pytest.raises(EngineError, match=r"did not start.*no_such_module.*node\.txt"):
        engine.launch(request_of(home, engine, "true"))


@pytest.mark.parametrize("hours", [3, -3])
def test_a_node_goes_on_with_the_schedulers_clock_after_the_wall_clock_was_set(home: Path, hours: int) -> None:
    """The wall clock was set while runs were active: what the machine says and what its money pays for stays right."""
    clock = SystemClock(start=datetime.now(UTC) - timedelta(hours=hours))
    engine = LocalEngine(home, None, clock)
    asked_at = clock.now()
    handle = engine.launch(request_of(home, engine, "sleep 0.3", stop_after_s=600.0))
    end = seen_ended(engine, handle, clock)
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 0), "its money is not spent"
    assert end.launched_at is not None
    assert end.ended_at is not None
    assert asked_at <= end.launched_at <= end.ended_at <= clock.now()


KILLED_WHILE_IT_STARTS = """
import os, signal, sys
from spotwise.scheduler.engines.local import node

fork = os.fork

def fork_and_die():
    pid = fork() if {forks} else 1
    if pid > 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return pid

os.fork = fork_and_die
sys.exit(node.main())
"""


@pytest.fixture
def killed_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """From now on the process that starts a node is killed, just after it forked or just before."""

    def use(forks: bool) -> None:
        modules = tmp_path / "modules"
        modules.mkdir()
        (modules / "killed_starter.py").write_text(KILLED_WHILE_IT_STARTS.format(forks=forks))
        monkeypatch.setenv("PYTHONPATH", str(modules))
        monkeypatch.setattr("spotwise.scheduler.engines.local.engine.NODE_MODULE", "killed_starter")

    return use


def test_a_node_whose_starter_was_killed_just_after_the_fork_is_the_attempts_node(
    engine: LocalEngine, home: Path, killed_starter: Callable[[bool], None]
) -> None:
    killed_starter(True)
    handle = engine.launch(request_of(home, engine, "while [ ! -e go ]; do sleep 0.05; done; exit 3"))
    assert engine.observe([handle])[handle.attempt_id].phase is not Phase.ENDED
    (home / "go").touch()
    end = seen_ended(engine, handle, CLOCK)
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 3)
    assert end.launched_at is not None


def test_a_node_whose_starter_was_killed_before_the_fork_never_starts(
    engine: LocalEngine, home: Path, killed_starter: Callable[[bool], None]
) -> None:
    killed_starter(False)
    request = request_of(home, engine, "echo began")
    with pytest.raises(EngineError, match="did not start"):
        engine.launch(request)
    handle, folder = Handle("job-x1-a1", str(home)), AttemptFolder.of(str(home), "job-x1-a1")
    late_node = [sys.executable, "-m", NODE_MODULE, str(folder.path)]
    subprocess.run(late_node, input=b"{}", check=True)
    assert engine.launch(request) == handle
    end = engine.observe([handle])[handle.attempt_id]
    assert (end.phase, end.cause, end.launched_at) == (Phase.ENDED, EndCause.LAUNCH_FAILED, None)
    assert not folder.log_path.exists()


def test_a_damaged_request_is_settled_and_hides_no_other_attempt(engine: LocalEngine, home: Path) -> None:
    done = engine.launch(request_of(home, engine, "true", number=2))
    seen_ended(engine, done, CLOCK)
    requested_but_not_started(home).request_path.write_text("{}")
    seen = engine.observe([Handle("job-x1-a1", str(home)), done])
    assert (seen["job-x1-a1"].phase, seen["job-x1-a1"].cause) == (Phase.ENDED, EndCause.NO_CAPACITY)
    assert seen["job-x1-a2"].exit_code == 0


def test_a_folder_that_cannot_be_used_is_named(engine: LocalEngine, home: Path) -> None:
    (home / "attempts").write_text("a file where a folder belongs")
    handle = Handle("job-x1-a1", str(home))
    with pytest.raises(EngineError, match="attempts/job-x1-a1 cannot be used"):
        engine.launch(request_of(home, engine, "true"))
    with pytest.raises(EngineError, match="attempts/job-x1-a1 cannot be used"):
        engine.terminate(handle, grace_s=1)
    assert engine.observe([handle])[handle.attempt_id].phase is Phase.UNKNOWN
