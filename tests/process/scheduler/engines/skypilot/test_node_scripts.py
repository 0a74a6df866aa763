"""The scripts that make a Python for the agent on a node, and start the agent: really run, in a home of their own.

A node here has the tools that are linked into its ``bin`` and no others; its package index is a folder with psutil.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
from factories import offer
from sky_tasks import request

from spotwise.scheduler.engines.skypilot.tasks import Wheel, sky_task
from spotwise.scheduler.engines.skypilot.wheel import build_wheel, wheel_digest
from spotwise.scheduler.node_agent.log_message import StorageNotSeen

pytestmark = pytest.mark.slow

PYTHON = Path(sys._base_executable)  # type: ignore[attr-defined]  # a virtual environment's python would make its twin
TOOLS = (
    "getent",
    "id",
    "cut",
    "bash",
    "cat",
    "dirname",
    "echo",
    "env",
    "flock",
    "mkdir",
    "rm",
    "sh",
    "sleep",
    "touch",
    "uname",
)
SENTENCE = "[spotwise] no Python for the agent: it needs Python 3.11 or newer, or uv, and a package index"
UV = 'test "$1 $2 $3 $4 $5" = "venv --quiet --seed --python >=3.11" && exec {python} -m venv "$6"'
NO_VENV = 'case "$*" in *ensurepip*) exit 1;; esac; echo "a Python without venv was used" >&2; exit 9'
BROKEN_VENV = 'case "$*" in *ensurepip*) exit 0;; *"-m venv"*) mkdir -p "$3/bin"; touch "$3/bin/python"; exit 1;; esac'


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with psutil's wheel, packed from what is installed here."""
    psutil = importlib.metadata.distribution("psutil")
    tag = next(line[5:] for line in (psutil.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: "))
    folder = tmp_path_factory.mktemp("index")
    with ZipFile(folder / f"psutil-{psutil.version}-{tag}.whl", "w") as wheel:
        for file in psutil.files or ():
            if file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED"):
                wheel.write(str(file.locate()), str(file))
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    path = build_wheel(tmp_path_factory.mktemp("wheel"))
    return Wheel(path, wheel_digest(path))


class Node:
    """A machine: a home with the wheel in its place, and the tools that it has."""

    def __init__(self, folder: Path, wheel: Wheel, index: Path) -> None:
        self.home, self.bin = folder / "home", folder / "bin"
        requirement = f"psutil=={importlib.metadata.version('psutil')}"
        task = sky_task(request(offer()), wheel, [requirement])
        (there,) = task["file_mounts"]
        self.wheel = Path(there.replace("~", str(self.home)))
        self.wheel.parent.mkdir(parents=True)
        shutil.copy(wheel.path, self.wheel)
        setup, _, self.run = task["run"].partition("# The agent.\n")
        self.setup = setup.replace("/usr/bin/python3", str(self.bin / "the-systems"))
        places = {"HOME": str(self.home), "SPOTWISE_NODE_HOME": str(self.home / ".spotwise"), "PATH": str(self.bin)}
        self.env = {**places, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or "")

    def has(self, tool: str, script: str = 'exec {python} "$@"') -> None:
        """``tool`` does this, and writes down what it was called with."""
        path = self.bin / tool
        note = f'echo "{tool} $*" >> {self.bin}/calls\n'
        path.write_text("#!/bin/sh\n" + note + script.replace("{python}", str(PYTHON)) + "\n")
        path.chmod(0o755)

    def calls(self, of: str) -> int:
        calls = self.bin / "calls"
        return sum(of in line for line in calls.read_text().splitlines()) if calls.exists() else 0

    def start(self, script: str, *options: str, **env: str) -> subprocess.Popen[str]:
        """As SkyPilot does: a file, and a shell that reads its owner's files."""
        path = self.home / f"script-{time.monotonic_ns()}"
        path.write_text(script)
        return subprocess.Popen(
            ["/bin/bash", *options, str(path)],
            env={**self.env, **env},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set_up(self, *options: str, code: int = 0, **env: str) -> str:
        process = self.start(self.setup, *options, **env)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code, output
        return output

    def agent(self, **env: str) -> tuple[int, str]:
        """What the agent does where nobody has asked for an attempt: it can be started at all."""
        process = self.start(self.run, **env)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    @property
    def python(self) -> Path | None:
        return next(iter((self.home / ".spotwise").glob("env-*/bin/python")), None)


@pytest.fixture
def node(tmp_path: Path, wheel: Wheel, index: Path) -> Node:
    return Node(tmp_path, wheel, index)


def is_ready(node: Node) -> bool:
    code, output = node.agent()
    return code == 78 and "not the environment of an attempt" in output


def test_a_python_for_the_agent_is_made_once(node: Node) -> None:
    node.has("python3")
    assert "Error" not in node.set_up("-i")
    assert is_ready(node)
    assert node.set_up() == ""
    assert node.calls("-m venv") == 1


def test_the_agent_has_its_own_packages_whatever_the_clusters_modules_say(node: Node) -> None:
    """A ``PYTHONPATH`` for another Python, and a pip that installs for the user."""
    node.has("python3")
    other = node.home / "other"
    other.mkdir()
    for name in ("psutil.py", "pip.py", "venv.py"):
        (other / name).write_text("raise ImportError('of another Python')")
    around = {"PYTHONPATH": str(other), "PIP_USER": "1"}
    node.set_up(**around)
    assert node.agent(**around)[0] == 78


def test_two_nodes_of_one_home_make_it_together_without_harm(node: Node) -> None:
    node.has("python3")
    both = [node.start(node.setup) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert is_ready(node)
    assert node.calls("-m venv") == 1


def test_where_no_python_can_make_one_uv_does(node: Node) -> None:
    node.has("python3", NO_VENV)
    node.has("uv", UV)
    node.set_up()
    assert is_ready(node)


def test_uv_is_found_where_skypilot_puts_it(node: Node) -> None:
    node.has("uv", UV)
    place = node.home / ".local" / "bin" / "uv"
    place.parent.mkdir(parents=True)
    shutil.move(node.bin / "uv", place)
    node.set_up()
    assert is_ready(node)


def test_a_python_that_says_it_can_and_cannot_is_passed_over(node: Node) -> None:
    node.has("python3", BROKEN_VENV)
    node.has("python")
    node.set_up()
    assert is_ready(node)
    assert (node.calls("python3 -m venv"), node.calls("python -m venv")) == (1, 1)


def test_where_nothing_can_make_one_the_reason_is_said(node: Node) -> None:
    node.has("python3", NO_VENV)
    assert node.set_up(code=1).splitlines()[-1] == SENTENCE
    assert not list((node.home / ".spotwise").glob("env-*/.ready"))


def test_a_node_that_does_not_see_the_wheel_tells_people_and_the_scheduler(node: Node) -> None:
    node.wheel.unlink()
    (node.bin / "sleep").unlink()  # a link to the machine's own
    node.has("sleep", "exit 0")
    said = node.set_up(code=78)
    assert f"[spotwise] nobody asks for this attempt: {platform.node()} sees no {node.wheel}" in said
    assert StorageNotSeen.find(said.splitlines()) == StorageNotSeen(platform.node(), str(node.wheel))
    assert node.calls("sleep 1") == 9


def test_without_a_package_index_the_reason_is_said(node: Node, tmp_path: Path) -> None:
    node.has("python3")
    output = node.set_up(code=1, PIP_FIND_LINKS=str(tmp_path))
    assert "No matching distribution found for psutil" in output
    assert output.splitlines()[-1] == SENTENCE
    node.set_up()
    assert is_ready(node)


def test_what_was_killed_half_way_is_made_anew(node: Node) -> None:
    node.has("python3")
    killed = node.start(node.setup)
    give_up = time.monotonic() + 60
    while node.python is None and time.monotonic() < give_up:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    assert node.python is not None
    environment = node.python.parents[1]
    assert not (environment / ".ready").exists()
    (environment / "half-written").touch()
    node.set_up()
    assert is_ready(node)
    assert not (environment / "half-written").exists()
    assert node.calls("-m venv") == 2
