"""The machines of the world that `tests/integration/skypilot/run.sh` makes, and the daemons on them.

A machine is a name, an address, a /tmp and a home folder of its own (namespaces), held by one sleeping process.
Programs are started in it with `nsenter`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "SPOTWISE_TEST_SKYPILOT"
CLOUDS = ("aws", "gcp")  # what a part of the world consists of
PARTS = 3  # as many tests can run at once
PARTITIONS = ("spot", "ondemand")
NODE_USER = "skynode"
API_SERVER = "sky-api"


def cluster_name(cloud: str, part: int) -> str:
    """The Slurm cluster that plays a cloud in one part of the world: `aws`, `aws2`, `aws3`."""
    return cloud if part == 1 else f"{cloud}{part}"


CLUSTERS = tuple(cluster_name(cloud, part) for part in range(1, PARTS + 1) for cloud in CLOUDS)


@dataclass(frozen=True)
class Layout:
    """Where everything is. Written by the harness, read by the tests."""

    root: str
    venv: str  # with SkyPilot; its Python runs the API server
    network: int  # second octet of all addresses, so that two worlds do not meet
    uid: int
    ports: dict[str, int]
    inherited: dict[str, str]  # settings of the package index and of certificates

    def save(self) -> None:
        self.path("world.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, root: str) -> Layout:
        return cls(**json.loads((Path(root) / "world.json").read_text()))

    def path(self, *parts: str) -> Path:
        return Path(self.root, *parts)

    def nodes(self, cluster: str, partition: str = "") -> list[str]:
        return [f"{cluster}-{p[0]}{i}" for p in PARTITIONS if partition in ("", p) for i in (1, 2)]

    @property
    def machines(self) -> dict[str, str]:
        """Name and address of each."""
        of_clusters = [[f"{c}-login", *self.nodes(c)] for c in CLUSTERS]
        return {
            name: f"127.{self.network}.{i}.{j}"
            for i, names in enumerate(of_clusters, start=1)
            for j, name in enumerate(names, start=1)
        } | {API_SERVER: "127.0.0.1"}

    def slurm_env(self, cluster: str) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.path(cluster, "slurm.conf"))}

    def node_env(self, cluster: str) -> dict[str, str]:
        path = f"{self.path('image', 'bin')}:/usr/local/bin:/usr/bin:/bin"
        slurm = {"SLURM_CONF": str(self.path(cluster, "slurm.conf")), "SLURM_UMASK": "0000"}  # sshd narrows the umask
        return {**self.inherited, **slurm, "PATH": path}

    def sky_env(self) -> dict[str, str]:
        """For SkyPilot's server, and for programs that use its SDK."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("SKYPILOT_", "SLURM_", "AWS_", "GOOGLE_"))}
        port = self.ports["api"]
        return keep | {
            "HOME": str(self.path("sky-home")),
            "SKYPILOT_API_SERVER_LOCAL_PORT": str(port),
            "SKYPILOT_API_SERVER_ENDPOINT": f"http://127.0.0.1:{port}",
            "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
            "PATH": f"{self.venv}/bin:{os.environ['PATH']}",
        }


@dataclass(frozen=True)
class Machine:
    name: str
    layout: Layout

    @property
    def _holder(self) -> int:
        return int(self.layout.path("machines", self.name, "holder").read_text())

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self._holder), "--mount", "--uts", *words]

    def start(self, *words: str, env: Mapping[str, str], umask: int = 0) -> subprocess.Popen[bytes]:
        """A program that runs on. What it says goes to a log."""
        log = self.layout.path("machines", self.name, f"{Path(words[0]).name}.log")
        with log.open("ab") as out:
            return subprocess.Popen(
                self.command(*words),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                umask=umask,
            )

    def processes(self, program: str = "") -> list[int]:
        """All of its processes but the one that holds it, or those of one program."""
        ours = _namespace(self._holder)
        pids = [pid for pid in _pids() if pid != self._holder and _namespace(pid) == ours]
        return [pid for pid in pids if program in ("", program_and_state(pid)[0])]

    def kill(self, program: str = "") -> None:
        """SIGKILL to all processes there, or to those of one program, until none is left."""

        def none_left() -> bool:
            found = self.processes(program)
            for pid in found:
                _kill(pid)
            return not found

        wait_until(none_left, f"all of {self.name} are dead", timeout_s=20, gap_s=0.05)


def _pids() -> Iterator[int]:
    return (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit())


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/uts").readlink()) if program_and_state(pid)[1] != "Z" else ""
    except OSError:
        return ""


def program_and_state(pid: int) -> tuple[str, str]:
    """Program and state; one that is gone reads as a zombie."""
    try:
        name, rest = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
    except OSError:
        return "", "Z"
    return name, rest.split()[0]


def owner(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return -1


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(true: Callable[[], object], what: str, timeout_s: float = 60, gap_s: float = 0.2) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(gap_s)


def start_sshd(layout: Layout, cluster: str) -> None:
    config = str(layout.path(cluster, "sshd_config"))
    Machine(f"{cluster}-login", layout).start("/usr/sbin/sshd", "-D", "-f", config, env=layout.node_env(cluster))


def start_node(layout: Layout, node: str) -> None:
    cluster = node.split("-", maxsplit=1)[0]
    conf = str(layout.path(cluster, "slurm.conf"))
    Machine(node, layout).start("/usr/sbin/slurmd", "-D", "-N", node, "-f", conf, env=layout.node_env(cluster))


def start_api_server(layout: Layout) -> None:
    env = layout.sky_env() | {
        "IS_SKYPILOT_SERVER": "true",
        "PYTHONPATH": str(Path(__file__).parents[1] / "integration" / "skypilot"),  # its plugin
    }
    command = (f"{layout.venv}/bin/python", "-u", "-m", "sky.server.server", f"--port={layout.ports['api']}")
    Machine(API_SERVER, layout).start(*command, env=env, umask=0o022)
    wait_until(lambda: api_server_answers(layout), "SkyPilot's API server answers", timeout_s=120)


def api_server_answers(layout: Layout) -> bool:
    url = f"http://127.0.0.1:{layout.ports['api']}/api/health"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
