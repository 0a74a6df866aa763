"""SkyPilot itself takes the tasks that we write: no cluster and no server is needed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from sky_tasks import GOLDEN, STORIES

from spotwise.scheduler.engines.skypilot.tasks import cluster_name

sky = pytest.importorskip("sky")
pytestmark = pytest.mark.core
stories = pytest.mark.parametrize("name", STORIES)


def golden(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text("utf-8"))
    return read


@stories
def test_skypilot_reads_the_task_as_it_was_meant(name: str) -> None:
    task = golden(name)
    made = sky.Task.from_yaml_config(deepcopy(task))
    made.validate_name()
    assert (made.name, made.num_nodes, made.setup, made.run) == (task["name"], task["num_nodes"], None, task["run"])
    assert {name: made.envs[name] for name in task["envs"]} == task["envs"]
    assert set(task["file_mounts"]) == {*made.file_mounts, *made.storage_mounts}


@stories
def test_skypilot_reads_one_place_as_it_was_meant(name: str) -> None:
    wanted = golden(name)["resources"]
    (found,) = sky.Task.from_yaml_config(golden(name)).resources
    assert found.infra.to_str() == wanted["infra"]
    assert found.use_spot == wanted.get("use_spot", False)
    assert found.instance_type == wanted.get("instance_type")
    accelerator, _, count = wanted["accelerators"].partition(":")
    assert found.accelerators == {accelerator: int(count)}


@pytest.mark.parametrize("attempt", ["a-x1-a1", f"{'long' * 15}-abcdef-a12", "My.job_2-abcdef-a1", "a---b-abcdef-a1"])
def test_clusters_of_all_attempts_have_names_that_skypilot_takes(attempt: str) -> None:
    from sky.utils.common_utils import check_cluster_name_is_valid

    check_cluster_name_is_valid(cluster_name(attempt))
