"""SkyPilot in a folder: clusters are folders of this machine, their jobs real processes. Keeps the port's contract.

Tell it with `refuse`, `hang`, `preempt`, `vanish`, `disconnect`, `forget`. Share one between engines to play a
supervisor that starts again. It does what SkyPilot does with a task: home and file mounts, then ``run``.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from spotwise.scheduler.engines.skypilot.sky import (
    Cluster,
    ClusterState,
    Failure,
    Landing,
    RequestState,
    SkyUnreachableError,
)
from spotwise.scheduler.node_agent.processes import FOLDER_VARIABLE

GRACE_S = 5.0  # from SIGTERM to SIGKILL of a machine that is taken


@dataclass
class FakeCluster:
    """A cluster as it really is, and as the books have it."""

    book: Cluster
    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    is_gone: bool = False  # taken by the market; the books do not know yet


@dataclass
class FakeRequest:
    kind: str  # "launch" or "down"
    cluster: str
    state: RequestState = RequestState.UNDER_WAY
    failure: Failure | None = None
    ended_at: datetime | None = None


class FakeSky:
    """`Sky` for tests."""

    def __init__(self, folder: Path, *, provision_s: float = 0.0) -> None:
        self.folder = folder
        self.provision_s = provision_s
        self.calls: list[str] = []  # "launch spotwise-r-a1", ... in order
        self.tasks: dict[str, Mapping[str, Any]] = {}  # by cluster: the newest task
        self.refusals: dict[str, Failure] = {}  # by infra, such as "slurm/aws/spot"
        self.hanging: set[str] = set()  # infra that never comes up
        self.landings: dict[str, Landing] = {}  # by cluster: what the cost report says of it
        self.is_down = False  # the API server
        self.cloud_is_down = False  # it cannot be asked for the truth
        self.clusters_: dict[str, FakeCluster] = {}
        self.requests_: dict[str, FakeRequest] = {}
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    # the port

    def launch(self, cluster: str, task: Mapping[str, Any], autostop_minutes: int) -> str:
        self._called("launch", cluster)
        with self._lock:
            self.tasks[cluster] = task
            request_id = f"request-{next(self._ids)}"
            request = self.requests_[request_id] = FakeRequest("launch", cluster)
        threading.Thread(target=self._bring_up, args=(request, task), daemon=True).start()
        return request_id

    def launches_of(self, cluster: str) -> list[str]:
        self._called("launches_of", cluster)
        found = self.requests_.items()
        return [i for i, r in found if (r.kind, r.cluster, r.state) == ("launch", cluster, RequestState.UNDER_WAY)]

    def requests(self, ids: Sequence[str]) -> dict[str, RequestState]:
        self._called("requests", *ids)
        return {i: self.requests_[i].state for i in ids if i in self.requests_}

    def ended_at(self, request_id: str) -> datetime | None:
        self._called("ended_at", request_id)
        return self.requests_[request_id].ended_at if request_id in self.requests_ else None

    def failure(self, request_id: str) -> Failure:
        self._called("failure", request_id)
        return self.requests_[request_id].failure or Failure(of_capacity=False, message="no reason")

    def cancel(self, request_id: str) -> None:
        self._called("cancel", request_id)
        if self.requests_[request_id].state is RequestState.UNDER_WAY:
            self.requests_[request_id].state = RequestState.GONE

    def clusters(self) -> dict[str, Cluster]:
        self._called("clusters")
        return {name: cluster.book for name, cluster in list(self.clusters_.items())}

    def landed(self, cluster: str) -> Landing | None:
        self._called("landed", cluster)
        return self.landings.get(cluster)

    def look_closer(self, cluster: str) -> Cluster | None:
        self._called("look_closer", cluster)
        if self.cloud_is_down:
            raise SkyUnreachableError("the cloud does not answer")
        with self._lock:
            if cluster in self.clusters_ and self.clusters_[cluster].is_gone:
                del self.clusters_[cluster]
        return self.clusters_[cluster].book if cluster in self.clusters_ else None

    def is_idle(self, cluster: str) -> bool:
        self._called("is_idle", cluster)
        return all(process.poll() is not None for process in self.clusters_[cluster].processes)

    def last_lines(self, cluster: str) -> list[str]:
        self._called("last_lines", cluster)
        log = self.clusters_[cluster].home / "job.log"
        return log.read_text().splitlines()[-8:] if log.exists() else []

    def down(self, cluster: str) -> str:
        self._called("down", cluster)
        request_id = f"request-{next(self._ids)}"
        self.requests_[request_id] = FakeRequest("down", cluster)
        threading.Thread(target=self._take_down, args=(request_id, cluster), daemon=True).start()
        return request_id

    # what happens to clusters

    def refuse(self, infra: str, message: str = "no capacity", *, of_capacity: bool = True) -> None:
        self.refusals[infra] = Failure(of_capacity, message)

    def preempt(self, cluster: str, grace_s: float = GRACE_S) -> None:
        """The market takes the machine: SIGTERM, then SIGKILL, and it is gone though the books still have it."""
        self._signal(cluster, signal.SIGTERM)
        threading.Thread(target=self._kill_after, args=(cluster, grace_s), daemon=True).start()

    def vanish(self, cluster: str) -> None:
        """The machine is gone without a word."""
        self._kill_after(cluster, 0.0)

    def forget(self) -> None:
        """The server was started again, and does not know of what it was asked to do."""
        self.requests_.clear()

    def log(self, cluster: str) -> str:
        return (self.clusters_[cluster].home / "job.log").read_text()

    def close(self) -> None:
        for cluster in list(self.clusters_.values()):
            _kill(cluster)

    # inside

    def _called(self, *words: str) -> None:
        self.calls.append(" ".join(words))
        if self.is_down:
            raise SkyUnreachableError("the API server does not answer")

    def _bring_up(self, request: FakeRequest, task: Mapping[str, Any]) -> None:
        cluster, infra = request.cluster, task["resources"]["infra"]
        time.sleep(self.provision_s)
        if infra in self.refusals:
            request.failure, request.state = self.refusals[infra], RequestState.FAILED
            return
        home = self.folder / "clusters" / cluster
        book = Cluster(cluster, ClusterState.INIT, datetime.now(UTC))
        with self._lock:
            self.clusters_.setdefault(cluster, FakeCluster(book, home))
        while infra in self.hanging and request.state is RequestState.UNDER_WAY:
            time.sleep(0.02)
        with self._lock:
            known = self.clusters_.get(cluster)
            if request.state is RequestState.UNDER_WAY and known is not None:
                _prepare(home, task)
                known.processes += [_start(home, task, rank) for rank in range(int(task.get("num_nodes", 1)))]
                known.book = replace(
                    known.book, state=ClusterState.UP, launched_at=datetime.now(UTC)
                )  # as SkyPilot does
                request.state = RequestState.DONE

    def _take_down(self, request_id: str, cluster: str) -> None:
        with self._lock:
            known = self.clusters_.get(cluster)
            if known is not None:
                _kill(known)
                del self.clusters_[cluster]
            if request_id in self.requests_:
                request = self.requests_[request_id]
                request.ended_at = datetime.now(UTC)
                request.state = RequestState.DONE if known else RequestState.FAILED

    def _kill_after(self, cluster: str, grace_s: float) -> None:
        known = self.clusters_[cluster]
        give_up = time.monotonic() + grace_s
        while time.monotonic() < give_up and any(process.poll() is None for process in known.processes):
            time.sleep(0.02)
        known.is_gone = True
        _kill(known)

    def _signal(self, cluster: str, number: signal.Signals) -> None:
        for process in self.clusters_[cluster].processes:
            process.send_signal(number)


def _prepare(home: Path, task: Mapping[str, Any]) -> None:
    """Home, file mounts, and a Python for the agent that costs nothing: this one."""
    home.mkdir(parents=True, exist_ok=True)
    for there, here in task.get("file_mounts", {}).items():
        path = Path(there.replace("~", str(home), 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here, path)
    digest = re.search(r"/env-(\w+(?:-\w+)?)/bin/python", task["run"])
    wheel = re.search(r'-m zipfile -e "([^"]+)"', task["run"])
    if digest and wheel:
        _bake(home, digest[1], Path(wheel[1].replace("$HOME", str(home))))


def _bake(home: Path, digest: str, wheel: Path) -> None:
    """A virtual environment with our package from the wheel, and all else from where the tests run."""
    env, library = home / ".spotwise" / f"env-{digest}", home / ".spotwise" / f"lib-{digest}"
    zipfile.ZipFile(wheel).extractall(library)
    base = Path(sys.executable).resolve()
    packages = env / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "spotwise.pth").write_text(f"{library}\n{Path(psutil.__file__).parents[1]}\n")
    (env / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (env / "bin").mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (env / "bin" / "python").symlink_to(base)
    (env / ".ready").touch()


def _start(home: Path, task: Mapping[str, Any], rank: int) -> subprocess.Popen[bytes]:
    """What SkyPilot does on a node: `run`, in the work folder."""
    workdir = Path(task["workdir"]) if task.get("workdir") else home
    env = {**_bare(), **task.get("envs", {}), **task.get("secrets", {})}
    env |= {
        "HOME": str(home),
        "SPOTWISE_NODE_HOME": str(home / ".spotwise"),
        "SKYPILOT_NODE_RANK": str(rank),
        FOLDER_VARIABLE: str(home),
    }
    script = task["run"]
    with (home / "job.log").open("ab") as log:
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=workdir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _bare() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}


def _kill(cluster: FakeCluster) -> None:
    mark = str(cluster.home)
    while found := [process for process in psutil.process_iter() if _belongs(process, mark)]:
        for process in found:
            _kill_one(process)
        time.sleep(0.02)
    for started in cluster.processes:
        started.wait()


def _kill_one(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _belongs(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(FOLDER_VARIABLE, "").startswith(mark)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False
