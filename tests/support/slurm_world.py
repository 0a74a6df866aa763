"""What tests do to the world of `tests/integration/skypilot` and see of it: capacity that goes, sight that is lost.

`run.sh` there makes it: SkyPilot's API server and several parts, each of two Slurm clusters that play clouds, `aws` and
`gcp`, and a user of SkyPilot. A cluster has the nodes -s1 and -s2 (partition `spot`) and -o1 and -o2 (`ondemand`). A
test has a part for itself. The folder of the world stands in SPOTWISE_TEST_SKYPILOT.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from slurm_machines import (
    API_SERVER,
    CLOUDS,
    PARTITIONS,
    VARIABLE,
    Layout,
    Machine,
    cluster_name,
    command_line,
    owner,
    start_api_server,
    start_node,
    start_sshd,
    wait_until,
)

NOTICE_S = 8.0  # between a preemption's SIGTERM and SIGKILL


@dataclass(frozen=True)
class SlurmJob:
    id: int
    name: str
    partition: str
    node: str  # or nodes: "aws-s[1-2]"
    state: str

    @property
    def alive(self) -> bool:
        return self.state in ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING")


@dataclass(frozen=True)
class SlurmWorld:
    """One part of the world. Its methods take clouds for clusters: `aws` is this part's cluster of that name."""

    layout: Layout
    part: int = 1

    @classmethod
    def from_env(cls, part: int = 1) -> SlurmWorld:
        return cls(Layout.load(os.environ[VARIABLE]), part)

    def cluster(self, cloud: str) -> str:
        return cloud if cloud in self.clusters else cluster_name(cloud, self.part)

    @property
    def clusters(self) -> tuple[str, ...]:
        return tuple(cluster_name(cloud, self.part) for cloud in CLOUDS)

    @property
    def user(self) -> str:
        """This part's user, as SkyPilot's books name it."""
        return f"{self.part:08x}"

    @property
    def client_env(self) -> dict[str, str]:
        return {**self.layout.sky_env(), "SKYPILOT_USER_ID": self.user}

    @property
    def sky_home(self) -> Path:
        """HOME of the API server and of its clients."""
        return self.layout.path("sky-home")

    @property
    def shared_folder(self) -> Path:
        """Scheduler (root) and nodes write here; both run with umask 0, so each can replace what the other wrote."""
        return self.layout.path("shared", str(self.part))

    def machine(self, name: str) -> Machine:
        return Machine(name, self.layout)

    def slurm(self, cluster: str, *command: str) -> str:
        env = self.layout.slurm_env(self.cluster(cluster))
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    def jobs(self, cluster: str, *, ended: bool = False) -> list[SlurmJob]:
        """Those that hold or wait for a node, oldest first; also those that Slurm remembers, with `ended`."""
        text = self.slurm(
            cluster, "squeue", "--all", "--noheader", "--states=all", "--sort=i", "--format=%i|%j|%P|%N|%T"
        )
        rows = (line.split("|") for line in text.splitlines())
        jobs = [SlurmJob(int(number), *rest) for number, *rest in rows]
        return [job for job in jobs if job.alive or ended]

    def job_of(self, sky_cluster: str) -> tuple[str, SlurmJob]:
        """Cluster and Slurm job that carry a SkyPilot cluster; SkyPilot appends a hash to its name."""
        for cluster in self.clusters:
            for job in self.jobs(cluster):
                if job.name == sky_cluster or job.name.startswith(f"{sky_cluster}-"):
                    return cluster, job
        raise LookupError(f"no Slurm job carries {sky_cluster}")

    def on_node(self, node: str, *command: str) -> str:
        """A command on a node, as the nodes' user."""
        user = ("setpriv", f"--reuid={self.layout.uid}", f"--regid={self.layout.uid}", "--clear-groups")
        env = self.layout.node_env(node.split("-", maxsplit=1)[0]) | {"HOME": str(self.layout.path("home"))}
        words = self.machine(node).command(*user, *command)
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True, umask=0).stdout

    # Losing capacity

    def reclaim(self, cluster: str, node: str, notice_s: float = NOTICE_S) -> int:
        """The provider takes the node back: whoever is on it gets SIGTERM now, and SIGKILL `notice_s` later."""
        victims = self.slurm(
            cluster, "squeue", "--noheader", "--partition=spot", f"--nodelist={node}", "--format=%i"
        ).split()
        options = ("--parsable", "--partition=reclaim", f"--nodelist={node}", "--exclusive", "--output=/dev/null")
        claim = int(self.slurm(cluster, "sbatch", *options, "--chdir=/", "--wrap=sleep infinity"))
        if victims:  # Slurm itself looks every 30 s only whether a notice is over
            end = f"sleep {notice_s}; scancel {' '.join(victims)}"
            subprocess.Popen(
                ["sh", "-c", end], env=self.layout.slurm_env(self.cluster(cluster)), start_new_session=True
            )
        return claim

    def release(self, cluster: str, claim: int) -> None:
        """The end of a claim, or of any job: at once, and no matter whether it has ended by itself."""
        for options in (("--signal=KILL", "--full"), ()):
            command = ["scancel", *options, str(claim)]
            env = self.layout.slurm_env(self.cluster(cluster))
            subprocess.run(command, env=env, check=False, stderr=subprocess.DEVNULL)

    def scancel(self, sky_cluster: str) -> None:
        """Its allocation ends: SIGTERM, then SIGKILL."""
        cluster, job = self.job_of(sky_cluster)
        self.slurm(cluster, "scancel", str(job.id))

    def kill_hard(self, node: str) -> None:
        """The machine vanishes: SIGKILL to all that runs there, and Slurm knows that it is gone."""
        self.machine(node).kill()
        self.slurm(
            node.split("-", maxsplit=1)[0], "scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=vanished"
        )

    def restore_node(self, node: str) -> None:
        cluster = node.split("-", maxsplit=1)[0]
        if not self.machine(node).processes():
            start_node(self.layout, node)
        self._resume(cluster, node)

    def _resume(self, cluster: str, node: str) -> None:
        def usable() -> bool:
            state = self.slurm(cluster, "sinfo", "--noheader", "--Node", f"--nodes={node}", "--format=%T").split()[0]
            if state.startswith(("down", "drain", "fail")):
                with suppress(subprocess.CalledProcessError):  # it came back by itself in between
                    self.slurm(cluster, "scontrol", "update", f"NodeName={node}", "State=RESUME")
            return state in ("idle", "mixed", "allocated")

        wait_until(usable, f"{node} takes jobs again", gap_s=0.1)

    def close(self, cluster: str, partition: str) -> None:
        """No capacity: what is asked for waits. What runs goes on."""
        self.slurm(cluster, "scontrol", "update", f"PartitionName={partition}", "State=DOWN")

    def open(self, cluster: str, partition: str) -> None:
        self.slurm(cluster, "scontrol", "update", f"PartitionName={partition}", "State=UP")

    # Losing sight

    def ssh_down(self, cluster: str) -> None:
        """The login node cannot be reached, and connections that exist break. What runs on the nodes goes on."""
        self.machine(f"{self.cluster(cluster)}-login").kill("sshd")

    def ssh_up(self, cluster: str) -> None:
        cluster = self.cluster(cluster)
        if not self.machine(f"{cluster}-login").processes("sshd"):
            start_sshd(self.layout, cluster)

    def kill_api_server(self) -> None:
        self.machine(API_SERVER).kill()

    def restart_api_server(self) -> None:
        """SIGKILL to all of its processes, then a new one with the same state."""
        self.kill_api_server()
        start_api_server(self.layout)

    # Looking and cleaning up

    def processes(self, node: str = "") -> dict[int, str]:
        """Id and command line of what the nodes' user runs, on one node or on all."""
        names = [node] if node else [n for c in self.clusters for n in self.layout.nodes(c)]
        pids = (pid for name in names for pid in self.machine(name).processes())
        found = {pid: command_line(pid) for pid in pids if owner(pid) == self.layout.uid}
        return {pid: line for pid, line in found.items() if line}

    def sky_clusters(self) -> list[str]:
        """All of this part that SkyPilot has a record of, and those that it is asked to launch."""
        recorded = self._rows(".sky/state.db", "SELECT name FROM clusters WHERE user_hash = ?", self.user)
        return sorted({*recorded, *self._launches("AND finished_at IS NULL")})

    def launches(self) -> list[str]:
        """The cluster of every launch of this part that SkyPilot's server was asked for since it was started."""
        return self._launches()

    def _launches(self, which: str = "") -> list[str]:
        query = f"SELECT cluster_name FROM requests WHERE name = 'sky.launch' AND user_id = ? {which}"  # noqa: S608 - ours
        return self._rows(".sky/api_server/requests.db", query, self.user)

    def _rows(self, database: str, query: str, *values: str) -> list[str]:
        with closing(sqlite3.connect(self.sky_home / database, timeout=30)) as rows:
            return [name for (name,) in rows.execute(query, values)]

    def reset(self) -> None:
        """As this part was at first: no clusters, no jobs, all nodes and ways open."""
        if not self.machine(API_SERVER).processes():
            self.restart_api_server()
        for cluster in self.clusters:
            self.ssh_up(cluster)
            for partition in PARTITIONS:
                self.open(cluster, partition)
        if self.sky_clusters():
            script = [f"{self.layout.venv}/bin/python", "-c", REMOVE_ALL]
            subprocess.run(script, env=self.client_env, check=True, timeout=180, stdout=subprocess.DEVNULL)
        for cluster in self.clusters:
            for job in self.jobs(cluster):
                self.release(cluster, job.id)
            for node in self.layout.nodes(cluster):
                self.restore_node(node)
            wait_until(lambda c=cluster: not self.jobs(c), f"no jobs on {cluster}")
            shutil.rmtree(self.layout.path(cluster, "home", ".sky_clusters"), ignore_errors=True)
        for path in self.shared_folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


REMOVE_ALL = """
import sky
sky.get(sky.api_cancel())
names = [cluster["name"] for cluster in sky.get(sky.status())]
for request in [sky.down(name, purge=True) for name in names]:
    sky.get(request)
"""
