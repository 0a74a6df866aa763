"""Tests in the world that `run.sh` makes; without it they are skipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sky_installation import SkyInstallation
from slurm_machines import VARIABLE
from slurm_world import SlurmWorld


@pytest.fixture(scope="session")
def slurm_world() -> SlurmWorld:
    if VARIABLE not in os.environ:
        pytest.skip("needs the world of tests/integration/skypilot/run.sh: make test-skypilot")
    return SlurmWorld.from_env()


@pytest.fixture
def world(slurm_world: SlurmWorld) -> SlurmWorld:
    """Empty, with all nodes and ways open."""
    slurm_world.reset()
    return slurm_world


@pytest.fixture
def site(world: SlurmWorld, tmp_path: Path) -> Iterator[SkyInstallation]:
    """An installation whose jobs run in this world."""
    made = SkyInstallation(tmp_path, world=world)
    yield made
    made.close()
