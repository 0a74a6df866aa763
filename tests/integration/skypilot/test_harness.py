"""The world itself: what the other tests rely on."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slurm_machines import wait_until
from slurm_world import NOTICE_S, SlurmWorld

# Says on which node it runs and which notices it got; leaves by itself only where it is killed.
WITNESS = """
import os, signal, sys, time
path = sys.argv[1] + "." + os.environ["SKYPILOT_NODE_RANK"]
def say(what):
    with open(path, "a") as file:
        file.write(f"{time.time()} {what}\\n")
signal.signal(signal.SIGTERM, lambda *_: say("SIGTERM"))
say(os.uname().nodename)
while True:
    time.sleep(0.1)
    open(path + ".beat", "w").write(str(time.time()))
"""


class Witness:
    """A task whose processes write down what happens to them."""

    def __init__(self, world: SlurmWorld, name: str) -> None:
        self.script = world.shared_folder / f"{name}.py"
        self.out = world.shared_folder / name
        self.script.write_text(WITNESS)

    @property
    def run(self) -> str:
        return f"python {self.script} {self.out}"

    def path(self, rank: int = 0) -> Path:
        return self.out.with_name(f"{self.out.name}.{rank}")

    def said(self, rank: int = 0) -> dict[str, float]:
        """What it said, and when at first."""
        if not self.path(rank).exists():
            return {}
        lines = (line.split() for line in reversed(self.path(rank).read_text().splitlines()))
        return {what: float(at) for at, what in lines}

    def last_beat(self, rank: int = 0) -> float:
        return self.path(rank).with_suffix(f".{rank}.beat").stat().st_mtime


@pytest.fixture
def took(record_property: Callable[[str, object], None]) -> Callable[[str], Any]:
    @contextmanager
    def measured(what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds = round(time.monotonic() - started, 1)
        record_property(what, seconds)
        print(f"{what}: {seconds} s")

    return measured


class Sky:
    """SkyPilot's SDK in a process of its own: what it reads when it is imported must be this world's."""

    PROGRAM = """
import json, sys, sky
def launch(name, run, nodes=1):
    task = sky.Task(name="task", run=run, num_nodes=nodes)
    task.set_resources(sky.Resources(infra="slurm/aws/spot", accelerators="V100:1", cpus=1, memory=1))
    return sky.get(sky.launch(task, cluster_name=name))[0]
def status(name):
    found = sky.get(sky.status(cluster_names=[name], refresh=sky.StatusRefreshMode.FORCE))
    return found[0].status.name if found else None
def down(name):
    sky.get(sky.down(name))
def job_status(name):
    return sky.get(sky.job_status(name, None))[1].name
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    function, args = json.loads(line)
    try:
        answer = [globals()[function](*args), None]
    except Exception as fault:
        answer = [None, f"{type(fault).__name__}: {fault}"]
    print(json.dumps(answer), file=answers, flush=True)
"""

    def __init__(self, world: SlurmWorld) -> None:
        command = [f"{world.layout.venv}/bin/python", "-c", self.PROGRAM]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=world.client_env, stdin=pipe, stdout=pipe, text=True)

    def _call(self, function: str, *args: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([function, args]) + "\n")
        self.process.stdin.flush()
        answer, fault = json.loads(self.process.stdout.readline())
        if fault:
            raise RuntimeError(fault)
        return answer

    def launch(self, name: str, run: str, nodes: int = 1) -> int:
        return int(self._call("launch", name, run, nodes))

    def status(self, name: str) -> str | None:
        """What SkyPilot says after it has looked; None if it knows no such cluster."""
        return self._call("status", name)

    def down(self, name: str) -> None:
        self._call("down", name)

    def job_status(self, name: str) -> str:
        return str(self._call("job_status", name))


@pytest.fixture(scope="module")
def sky(slurm_world: SlurmWorld) -> Iterator[Sky]:
    client = Sky(slurm_world)
    yield client
    client.process.kill()
    client.process.wait()


def test_a_task_runs_on_the_partition_that_it_is_pinned_to(
    world: SlurmWorld, sky: Sky, took: Callable[[str], Any]
) -> None:
    for number in ("first", "second"):
        with took(f"{number} launch"):
            sky.launch(number, f"hostname > {world.shared_folder / number}")
    assert [(job.partition, job.node, job.state) for job in world.jobs("aws")] == [
        ("spot", "aws-s1", "RUNNING"),
        ("spot", "aws-s2", "RUNNING"),
    ]
    with took("end of its launch to end of the task"):
        wait_until((world.shared_folder / "second").exists, "the second task is through")
    assert (world.shared_folder / "second").read_text() == "aws-s2\n"
    with took("down"):
        sky.down("first")
    assert [job.node for job in world.jobs("aws")] == ["aws-s2"]


def test_a_preempted_task_gets_a_notice_and_then_its_cluster_is_gone(
    world: SlurmWorld, sky: Sky, took: Callable[[str], Any]
) -> None:
    witness = Witness(world, "preempted")
    sky.launch("preempted", witness.run)
    wait_until(witness.said, "the task runs")
    claimed_at = time.time()
    claim = world.reclaim("aws", "aws-s1")
    with took("preemption to SIGTERM"):
        wait_until(lambda: "SIGTERM" in witness.said(), "the task has its notice")
    with took("SIGTERM to SIGKILL"):
        wait_until(lambda: [job.id for job in world.jobs("aws")] == [claim], "the provider has the node")
    assert witness.said()["SIGTERM"] - claimed_at < NOTICE_S
    assert witness.last_beat() - witness.said()["SIGTERM"] >= NOTICE_S - 1
    assert not world.processes("aws-s1")
    assert sky.status("preempted") is None

    world.release("aws", claim)
    wait_until(lambda: not world.jobs("aws"), "the node is free again")


def test_a_machine_that_vanishes_gives_no_notice(world: SlurmWorld, sky: Sky) -> None:
    witness = Witness(world, "vanished")
    sky.launch("vanished", witness.run)
    wait_until(witness.said, "the task runs")
    world.kill_hard("aws-s1")
    assert "SIGTERM" not in witness.said()
    assert not world.processes("aws-s1")
    assert not world.jobs("aws")
    assert sky.status("vanished") is None

    world.restore_node("aws-s1")
    assert "SIGTERM" not in witness.said()


def test_one_cluster_spans_two_nodes_which_talk_to_each_other(world: SlurmWorld, sky: Sky) -> None:
    script = world.shared_folder / "sum.py"
    script.write_text(SUM)
    out = world.shared_folder / "rank"
    launcher = "python -m torch.distributed.run --nnodes $SKYPILOT_NUM_NODES --node-rank $SKYPILOT_NODE_RANK"
    head = '--master-addr $(echo "$SKYPILOT_NODE_IPS" | head -n 1) --master-port 29500'
    sky.launch("pair", f"{launcher} --nproc-per-node 1 {head} {script} {out}", nodes=2)
    wait_until(lambda: len(list(world.shared_folder.glob("rank.*"))) == 2, "both ranks are through")
    assert {path.read_text() for path in world.shared_folder.glob("rank.*")} == {"aws-s1 3", "aws-s2 3"}


SUM = """
import os, sys, torch
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
total = torch.tensor(rank + 1)
torch.distributed.all_reduce(total)
with open(f"{sys.argv[1]}.{rank}", "w") as file:
    file.write(f"{os.uname().nodename} {total.item()}")
torch.distributed.destroy_process_group()
"""


def test_a_task_outlives_a_lost_login_node_and_a_restarted_api_server(
    world: SlurmWorld, sky: Sky, took: Callable[[str], Any]
) -> None:
    witness = Witness(world, "survivor")
    sky.launch("survivor", witness.run)
    wait_until(witness.said, "the task runs")

    world.ssh_down("aws")
    with pytest.raises(RuntimeError, match=r"(?s)^CommandError.*ssh: connect to host"):
        sky.job_status("survivor")
    world.ssh_up("aws")

    with took("restart of the API server"):
        world.restart_api_server()
    assert sky.status("survivor") == "UP"
    asked_at = time.time()
    wait_until(lambda: witness.last_beat() > asked_at, "the task still runs")
    assert set(witness.said()) == {"aws-s1"}


def test_a_closed_partition_has_no_capacity(world: SlurmWorld, sky: Sky) -> None:
    world.close("aws", "spot")
    with pytest.raises(RuntimeError, match=r"^ResourcesUnavailableError"):
        sky.launch("waits", "true")
    assert not world.jobs("aws")
    world.open("aws", "spot")


def test_root_and_the_nodes_can_replace_each_others_files(world: SlurmWorld) -> None:
    ours, theirs = world.shared_folder / "ours", world.shared_folder / "theirs"
    ours.write_text("root\n")
    world.on_node("aws-s1", "bash", "-c", f"echo node >>{ours}; echo node >{theirs}")
    theirs.write_text("root\n")
    assert (ours.read_text(), theirs.read_text()) == ("root\nnode\n", "root\n")
