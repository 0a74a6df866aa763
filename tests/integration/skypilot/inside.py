"""The first process of the world: builds it, runs a command in it, reaps orphans. Usage: inside.py ROOT COMMAND..."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/support"))

import clusters  # noqa: E402
import node_image  # noqa: E402
import sky_home  # noqa: E402
from slurm_machines import CLUSTERS, NODE_USER, PARTS, VARIABLE, Layout, start_api_server  # noqa: E402

ID = 61_437  # of the nodes' user; no distribution gives such numbers out
INHERITED = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_CA", "LANG", "LC_")


def plan(root: str) -> Layout:
    names = ["api", *(f"{c}-ssh" for c in CLUSTERS)]
    names += [name for c in CLUSTERS for name in (f"{c}-login", *(f"{c}-{k}{i}" for k in "so" for i in (1, 2)))]
    inherited = {k: v for k, v in os.environ.items() if k.startswith(INHERITED) and " " not in v}
    return Layout(
        root=root,
        venv=sys.prefix,
        network=random.randint(16, 250),
        uid=ID,
        ports=dict(zip(names, free_ports(len(names)), strict=True)),
        inherited=inherited | {"PIP_CONFIG_FILE": f"{root}/image/pip.conf"},
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def hide_machine(layout: Layout) -> None:
    """Our own /tmp, user and host names: mounts of this process, which nobody else sees."""
    replacements = {
        "/etc/passwd": f"{NODE_USER}:x:{ID}:{ID}::{layout.path('home')}:/bin/bash\n",
        "/etc/group": f"{NODE_USER}:x:{ID}:\n",
        "/etc/shadow": f"{NODE_USER}:*:19000:0:99999:7:::\n",  # sshd refuses who is locked by "!"
        "/etc/hosts": "".join(f"{address} {name}\n" for name, address in layout.machines.items()),
    }
    for path, lines in replacements.items():
        ours = layout.path("etc", Path(path).name)
        ours.parent.mkdir(exist_ok=True)
        shutil.copy(path, ours)
        ours.write_text(ours.read_text() + lines)
        mount("--bind", ours, path)


def private_tmp(layout: Layout) -> None:
    """The repository and Python may lie below /tmp: they stay."""
    ours, kept = layout.path("tmp"), layout.path("kept")
    ours.mkdir()
    ours.chmod(0o1777)
    below = [p for p in (str(REPOSITORY), sys.prefix, sys.base_prefix) if p.startswith("/tmp/")]  # noqa: S108
    for path in below:
        (kept / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mount("--rbind", path, kept / path.lstrip("/"))
    mount("--bind", ours, "/tmp")  # noqa: S108
    for path in below:
        Path(path).mkdir(parents=True, exist_ok=True)
        mount("--rbind", kept / path.lstrip("/"), path)


def build(layout: Layout) -> None:
    layout.save()
    hide_machine(layout)
    private_tmp(layout)
    for part in range(1, PARTS + 1):
        shared = layout.path("shared", str(part))
        shared.mkdir(parents=True)
        shared.chmod(0o2777)
    layout.path("home").mkdir()
    node_image.build(layout)
    sky_home.build(layout)
    clusters.configure(layout)
    clusters.start_machines(layout)
    start_api_server(layout)
    clusters.start_daemons(layout)


def run(command: list[str], layout: Layout) -> int:
    environment = {**os.environ, VARIABLE: layout.root}
    child = subprocess.Popen(command, env=environment, umask=0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command decides what Ctrl-C means
    while True:  # orphans come to the first process of a process table
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def main() -> int:
    root, *command = sys.argv[1:]
    started = time.monotonic()
    layout = plan(root)
    build(layout)
    print(f"The world {root} is up after {time.monotonic() - started:.0f} s.", flush=True)
    if "pytest" in command and not any(word.startswith("tests/") for word in command):
        command.append("tests/integration/skypilot")
    return run(command, layout)


if __name__ == "__main__":
    sys.exit(main())
