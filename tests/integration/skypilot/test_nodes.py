"""Training on several machines at once: the recipe ddp_digits, as its job file runs it."""

from __future__ import annotations

import re
import shutil
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from installation import Installation
from sky_installation import PRICES, SkyInstallation, cloud_of

import spotwise.recipes

RECIPE = Path(spotwise.recipes.__path__[0]) / "ddp_digits"
EPOCHS = 12
WHO = 'echo "this is rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES"\n'
TORCHRUN = 'torchrun() { python -m torch.distributed.run "$@"; }\n'  # the nodes' Python has the module only


@pytest.fixture
def digits(site: SkyInstallation) -> str:
    """The recipe's command."""
    shutil.copy(RECIPE / "train.py", site.work)
    return str(yaml.safe_load((RECIPE / "job.yaml").read_text())["run"])


def free_port() -> str:
    """All machines of all worlds share one network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def epochs(site: Installation, run_id: str) -> list[int]:
    return [record.epoch for record in site.progress(run_id) if record.event == "progress"]


def begun(site: Installation, run_id: str) -> list[int]:
    """After which epoch each attempt began."""
    return [record.epoch for record in site.progress(run_id) if record.event == "started"]


@pytest.mark.core
def test_two_nodes_lose_one_and_continue_elsewhere(site: SkyInstallation, digits: str) -> None:
    keys: dict[str, Any] = {"num_nodes": 2, "envs": {"MASTER_PORT": free_port()}, "name": "two"}
    command = f"{WHO}{TORCHRUN}{digits.rstrip()} --epochs {EPOCHS} --epoch-seconds 0.5"
    two = site.submit(site.sky_job(command, work={"epochs": EPOCHS, "hours": 0.02, "reference": "V100"}, **keys))
    site.wait_for_epoch(two, 2)
    cluster, nodes = site.node_of(two)
    assert nodes == f"{cluster}-s[1-2]"
    site.world.kill_hard(f"{cluster}-s2")
    site.wait_for_end(two)

    assert site.places(two) == ["gcp/spot", "aws/spot"]
    assert site.outcomes(two) == ["preempted", "completed"]
    first, second = begun(site, two)
    assert first == 0
    assert 2 <= second < EPOCHS
    assert sorted(set(epochs(site, two))) == list(range(1, EPOCHS + 1))
    assert len(epochs(site, two)) <= EPOCHS + 1, "no more than the epoch that was not saved is repeated"
    log = site.cli("logs", two).out
    for number in (1, 2):
        assert re.search(rf"--- attempt {number} on [^,\n]*\nthis is rank 0 of 2\n", log)
        assert re.search(rf"--- attempt {number} on [^\n]*, node 1\nthis is rank 1 of 2\n", log)
    assert f"epoch {EPOCHS}, 2 ranks:" in log
    for attempt in site.attempts(two):
        assert attempt.nodes == 2
        assert attempt.ended_at is not None
        hours = Decimal((attempt.ended_at - attempt.launched_at).total_seconds()) / 3600
        price = Decimal(str(PRICES[cloud_of(attempt.offer)]["spot"]))
        booked = sum((c.amount_usd for c in site.charges(two) if c.attempt_id == attempt.id), Decimal(0))
        assert abs(booked - 2 * price * hours) < Decimal("0.00001")
    site.assert_clean(two)
