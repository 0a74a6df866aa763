"""Two torchruns on this machine play two machines, as the recipe's job.yaml starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from node_agents import kill_tree
from s3_server import free_port

from spotwise.checkpoints import ProgressRecord, latest_checkpoint, read_progress
from spotwise.checkpoints.ranks import Ranks
from spotwise.recipes import recipe_folder

EPOCHS = 4
STEPS_PER_EPOCH = 23  # 1,437 images, 64 a step
PATIENCE_S = 180.0


@contextmanager
def started(folder: Path, nodes: int, epoch_s: float) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The job's own command on each node."""
    job = yaml.safe_load((recipe_folder("ddp_digits") / "job.yaml").read_text())
    script = recipe_folder("ddp_digits") / "train.py"
    command = job["run"].replace("train.py --epochs 30", f"{script} --epochs {EPOCHS} --epoch-seconds {epoch_s}")
    port = str(free_port())
    agents = [_start(folder, command, rank, nodes, port) for rank in range(nodes)]
    try:
        yield agents
    finally:
        for agent in agents:
            kill_tree(agent)


def _start(folder: Path, command: str, rank: int, nodes: int, port: str) -> subprocess.Popen[bytes]:
    ips = "\n".join(["127.0.0.1"] * nodes)
    names = {"SKYPILOT_NUM_NODES": str(nodes), "SKYPILOT_NODE_RANK": str(rank), "SKYPILOT_NODE_IPS": ips}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "MASTER_PORT": port, "OMP_NUM_THREADS": "1", **(names if nodes > 1 else {})}
    return subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, env=environ)


def progress(folder: Path) -> list[ProgressRecord]:
    return read_progress(str(folder / "checkpoints" / "progress.jsonl"))


def wait_for_epoch(folder: Path, epoch: int) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not any((r.event, r.epoch) == ("checkpoint", epoch) for r in progress(folder)):
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.slow
def test_told_on_one_of_two_nodes_both_leave_at_the_same_step_and_any_number_goes_on(tmp_path: Path) -> None:
    """The second node is told, two go on; the first is told, one goes on alone."""
    for told, epoch in ((1, 1), (0, 2)):
        with started(tmp_path, 2, epoch_s=3.0) as nodes:
            wait_for_epoch(tmp_path, epoch)
            nodes[told].terminate()
            assert all(node.wait(PATIENCE_S) != 0 for node in nodes)
        left = progress(tmp_path)[-1]
        kept = latest_checkpoint(str(tmp_path / "checkpoints"))
        assert kept is not None
        assert left.event == "stopping"
        assert (left.checkpoint, left.step) == (kept.name, kept.position.step)

    with started(tmp_path, 1, epoch_s=0.0) as (alone,):
        assert alone.wait(PATIENCE_S) == 0
    last = progress(tmp_path)[-1]
    assert (last.event, last.epoch, last.step) == ("finished", EPOCHS, EPOCHS * STEPS_PER_EPOCH)
    assert last.metrics["val_accuracy"] > 0.8


def test_without_a_distributed_training_a_process_decides_alone() -> None:
    assert [Ranks().any(flag) for flag in (True, False)] == [True, False]
    Ranks().wait_for_all()
