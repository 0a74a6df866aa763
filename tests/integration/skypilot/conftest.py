"""Tests in the world that `run.sh` makes; without it they are skipped."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sky_installation import SkyInstallation
from slurm_machines import PARTS, VARIABLE
from slurm_world import SlurmWorld


@pytest.fixture(scope="session")
def slurm_world() -> SlurmWorld:
    """The part of the world that belongs to this process of pytest."""
    if VARIABLE not in os.environ:
        pytest.skip("needs the world of tests/integration/skypilot/run.sh: make test-skypilot")
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
    assert part <= PARTS, f"the world has {PARTS} parts: pytest -n {PARTS} at most"
    return SlurmWorld.from_env(part)


@pytest.fixture
def turn(slurm_world: SlurmWorld, request: pytest.FixtureRequest) -> Iterator[None]:
    """Beside the tests of other processes; one that is marked `alone` waits until they are over, and they for it."""
    with slurm_world.layout.path("turn").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if request.node.get_closest_marker("alone") else fcntl.LOCK_SH)
        yield


@pytest.fixture
def world(slurm_world: SlurmWorld, turn: None) -> SlurmWorld:
    """Empty, with all nodes and ways open."""
    slurm_world.reset()
    return slurm_world


@pytest.fixture
def site(world: SlurmWorld, tmp_path: Path) -> Iterator[SkyInstallation]:
    """An installation whose jobs run in this world."""
    made = SkyInstallation(tmp_path, world=world)
    yield made
    made.close()
