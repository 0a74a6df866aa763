"""Exported tasks are tasks to SkyPilot itself. Needs SkyPilot, but neither its server nor a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sky")
pytestmark = pytest.mark.core
GOLDEN = Path(__file__).parents[2] / "golden" / "export"

# Tables without a checksum beside them count as edited by the user and are never fetched.
VMS = """\
InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region,AvailabilityZone,Arch
g4dn.xlarge,4,16,T4,1,T4,0.526,0.204,us-east-1,us-east-1a,x86_64
g4dn.xlarge,4,16,T4,1,T4,0.526,0.190,us-east-2,us-east-2a,x86_64
"""
GCP_VMS = """\
InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region,AvailabilityZone
n1-standard-4,4,15,,,,0.19,0.04,us-east4,us-east4-c
,,,T4,1,T4,0.35,0.12,us-east4,us-east4-c
"""
TABLES = {
    "aws/vms.csv": VMS,
    "gcp/vms.csv": GCP_VMS,
    "common/accelerators.csv": "AcceleratorName,Clouds\nT4,\"['AWS', 'GCP']\"\nV100,\"['slurm']\"\n",
    "common/metadata.csv": "GPU,MemoryGB,Manufacturer\nT4,16,NVIDIA\nV100,16,NVIDIA\n",
}
LOAD = """\
import json, pathlib, sys, sky, yaml
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    config = yaml.safe_load(path.read_text())
    config.pop("file_mounts", None)  # SkyPilot asks the bucket whether it is there
    task = sky.Task.from_yaml_config(config)
    places = [[r.infra.to_str(), r.use_spot, r.instance_type] for r in task.resources]
    print(json.dumps({"file": path.stem, "name": task.name, "run": task.run, "envs": task.envs, "places": places}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What SkyPilot makes of each exported task, in a process and a home of its own."""
    home = tmp_path_factory.mktemp("home")
    for name, text in TABLES.items():
        path = home / ".sky" / "catalogs" / "v8" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {**os.environ, "HOME": str(home), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    command = [sys.executable, "-c", LOAD, str(GOLDEN)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tasks = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {task["file"]: task for task in tasks}


T4_SPOT = ["aws/us-east-2", True, "g4dn.xlarge"]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (
            "in-order",
            [
                T4_SPOT,
                ["aws/us-east-1", True, "g4dn.xlarge"],
                ["gcp/us-east4", True, "n1-standard-4"],
                ["aws/us-east-1", False, "g4dn.xlarge"],
            ],
        ),
        ("pinned", [T4_SPOT]),
        ("bare", [T4_SPOT]),
        ("slurm", [["slurm/aws/spot", False, None], ["slurm/aws/ondemand", False, None]]),
    ],
)
def test_skypilot_reads_the_places_in_the_order_that_was_planned(loaded, name: str, places: list[list[Any]]) -> None:
    assert loaded[name]["places"] == places


def test_skypilot_reads_the_job_s_own_keys(loaded) -> None:
    task = loaded["in-order"]
    assert task["name"] == "shelf-detector"
    assert task["run"].endswith("python train.py --epochs $EPOCHS\n")
    assert task["envs"]["SPOTWISE_CHECKPOINT_EVERY"] == "2 epochs"


def test_every_golden_file_was_read(loaded) -> None:
    assert set(loaded) == {path.stem for path in GOLDEN.glob("*.yaml")} != set()
