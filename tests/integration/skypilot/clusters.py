"""The two Slurm clusters: configuration, machines, daemons."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from slurm_machines import CLUSTERS, NODE_USER, Layout, Machine, start_node, start_sshd, wait_until

HERE = Path(__file__).resolve().parent

# `reclaim` is the provider that takes its capacity back: it outranks `spot`, whose jobs then get SIGTERM.
SLURM_CONF = """\
ClusterName={cluster}
SlurmctldHost={cluster}-login({address})
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={root}/munge/socket
StateSaveLocation={root}/{cluster}/state
SlurmdSpoolDir={root}/{cluster}/spool/%n
SlurmctldPidFile={root}/{cluster}/slurmctld.pid
SlurmdPidFile={root}/{cluster}/slurmd.%n.pid
SlurmctldLogFile={root}/{cluster}/slurmctld.log
SlurmdLogFile={root}/{cluster}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
Epilog={root}/image/bin/epilog
KillWait={kill_wait_s}
MinJobAge=20
SlurmdTimeout=0
SlurmctldTimeout=30
MessageTimeout=20
TCPTimeout=5
"""
NODE = "NodeName={node} NodeAddr={address} Port={port} CPUs=4 RealMemory=16000 Gres=gpu:v100:1 State=UNKNOWN\n"
PARTITION = "PartitionName={name} Nodes={nodes} MaxTime=2-00:00:00 State=UP {rest}\n"
GRACE_S = 600  # long: the world ends a notice itself, to the second
KILL_WAIT_S = 3

SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/{cluster}/host_key
PidFile {root}/{cluster}/sshd.pid
AuthorizedKeysFile {root}/keys/client.pub
PasswordAuthentication no
UsePAM no
StrictModes no
PrintLastLog no
UseDNS no
MaxSessions 200
MaxStartups 200
AllowUsers {user}
Subsystem sftp internal-sftp
SetEnv {env}
"""


def configure(layout: Layout) -> None:
    make_key(layout.path("keys", "munge"), size=1024)
    ssh_key(layout.path("keys", "client"))
    for cluster in CLUSTERS:
        folder = layout.path(cluster)
        for name in ("state", "spool", "home"):
            (folder / name).mkdir(parents=True)
        for node in layout.nodes(cluster):
            (folder / "spool" / node).mkdir()
        os.chown(folder / "home", layout.uid, layout.uid)
        (folder / "home" / ".profile").write_text(f'export PATH="{layout.path("image", "bin")}:$PATH"\n')
        ssh_key(folder / "host_key")
        (folder / "slurm.conf").write_text(slurm_conf(layout, cluster))
        (folder / "gres.conf").write_text(gres_conf(layout, cluster))
        (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (folder / "sshd_config").write_text(sshd_config(layout, cluster))


def make_key(path: Path, size: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(os.urandom(size))


def ssh_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def slurm_conf(layout: Layout, cluster: str) -> str:
    text = SLURM_CONF.format(
        cluster=cluster,
        root=layout.root,
        address=layout.machines[f"{cluster}-login"],
        port=layout.ports[f"{cluster}-login"],
        kill_wait_s=KILL_WAIT_S,
    )
    for node in layout.nodes(cluster):
        text += NODE.format(node=node, address=layout.machines[node], port=layout.ports[node])
    spot, ondemand = (",".join(layout.nodes(cluster, p)) for p in ("spot", "ondemand"))
    text += PARTITION.format(name="ondemand", nodes=ondemand, rest="Default=YES PriorityTier=5 PreemptMode=off")
    text += PARTITION.format(name="spot", nodes=spot, rest=f"PriorityTier=1 PreemptMode=CANCEL GraceTime={GRACE_S}")
    return text + PARTITION.format(name="reclaim", nodes=spot, rest="PriorityTier=100 PreemptMode=off AllowGroups=root")


def gres_conf(layout: Layout, cluster: str) -> str:
    """A GPU in name only: SkyPilot asks Slurm for it, and no program looks for it."""
    return "".join(f"NodeName={n} Name=gpu Type=v100 File=/dev/null Count=1\n" for n in layout.nodes(cluster))


def sshd_config(layout: Layout, cluster: str) -> str:
    env = " ".join(f'"{k}={v}"' for k, v in layout.node_env(cluster).items())
    port = layout.ports[f"{cluster}-ssh"]
    return SSHD_CONFIG.format(root=layout.root, cluster=cluster, port=port, user=NODE_USER, env=env)


def start_machines(layout: Layout) -> None:
    for name in layout.machines:
        cluster = name.split("-")[0]
        own = [layout.path(cluster, "home"), layout.venv, sys.base_prefix] if cluster in CLUSTERS else []
        subprocess.Popen(["unshare", "--mount", "--uts", "bash", HERE / "machine.sh", name, layout.root, *own])
    for name in layout.machines:
        wait_until(layout.path("machines", name, "holder").exists, f"machine {name} is up", gap_s=0.02)


def start_munge(layout: Layout) -> None:
    folder = layout.path("munge")
    folder.mkdir(mode=0o755)
    places = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder / name}" for option, name in places.items()]
    munged = shutil.which("munged", path=f"{os.environ['PATH']}:/usr/sbin") or "munged"
    subprocess.run([munged, f"--key-file={layout.path('keys', 'munge')}", "--num-threads=2", *options], check=True)


def start_daemons(layout: Layout) -> None:
    start_munge(layout)
    for cluster in CLUSTERS:
        conf = str(layout.path(cluster, "slurm.conf"))
        login = Machine(f"{cluster}-login", layout)
        login.start("/usr/sbin/slurmctld", "-D", "-f", conf, env=layout.node_env(cluster))
        start_sshd(layout, cluster)
        for node in layout.nodes(cluster):
            start_node(layout, node)
    for cluster in CLUSTERS:
        wait_until(lambda c=cluster: idle_nodes(layout, c) == 4, f"the nodes of {cluster} are up")


def idle_nodes(layout: Layout, cluster: str) -> int:
    command = ["sinfo", "--noheader", "--Node", "--partition=spot,ondemand", "--format=%t"]
    done = subprocess.run(command, env=layout.slurm_env(cluster), capture_output=True, text=True, check=False)
    return done.stdout.split().count("idle")
