"""The SkyPilot task of an attempt: golden files, and what holds of all of them.

After a wanted change: ``SPOTWISE_TEST_UPDATE_GOLDEN=1 pytest`` with this file, then read the difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import offer
from sky_tasks import EKS, GCP, GOLDEN, POOLS, SECRET, STORIES, WHEEL, pool_offer, request, task_of

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.engines.skypilot.offers import pool_offers
from spotwise.scheduler.engines.skypilot.tasks import (
    as_skypilot_runs_it,
    attempt_of,
    cluster_name,
    in_order,
    infra,
    is_of,
    pinned,
    pool_of,
    requirement_names,
    sky_task,
)
from spotwise.scheduler.jobfile.settings import SkyPool

PLACES = {
    "any_of",
    "ordered",
    "cloud",
    "region",
    "zone",
    "job_recovery",
    "spot_recovery",
    "autostop",
    "max_hourly_cost",
}
stories = pytest.mark.parametrize("name", STORIES)


class Dumper(yaml.SafeDumper):
    """Scripts as blocks, so that differences are lines."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


@stories
def test_the_task_is_the_golden_one(name: str) -> None:
    text = yaml.dump(task_of(STORIES[name]()), Dumper=Dumper, sort_keys=False, width=110)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("SPOTWISE_TEST_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text("utf-8")


@stories
def test_the_place_is_the_offers_and_nothing_of_the_jobs_survives(name: str) -> None:
    asked = STORIES[name]()
    resources = task_of(asked)["resources"]
    assert PLACES.isdisjoint(resources)
    assert (resources["infra"], resources["accelerators"]) == (infra(asked.offer), asked.offer.accelerators())


@stories
def test_spot_is_asked_for_on_clouds_only(name: str) -> None:
    """A Slurm partition or labelled Kubernetes nodes are spot by themselves; SkyPilot refuses the word there."""
    asked = STORIES[name]()
    is_cloud = asked.offer.pool.cloud in ("aws", "gcp")
    assert task_of(asked)["resources"].get("use_spot") == (asked.offer.is_spot if is_cloud else None)


@stories
def test_secrets_stand_under_secrets_and_nowhere_else(name: str) -> None:
    task = task_of(replace(STORIES[name](), secrets={"TOKEN": SECRET}))
    assert task.pop("secrets") == {"TOKEN": SECRET}
    assert SECRET not in str(task)


@stories
def test_the_scripts_are_whole_and_bash_can_read_them(name: str) -> None:
    task = task_of(STORIES[name]())
    assert "@{" not in task["run"]
    subprocess.run(["bash", "-n"], input=task["run"], text=True, check=True)


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    task = task_of(STORIES["sweep"]())
    known = "SC2181"  # `if ! (…)` would switch off `set -e` within
    command = [Path(sys.executable).with_name("shellcheck"), "--shell=bash", f"--exclude={known}", "-"]
    done = subprocess.run(command, input=task["run"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@stories
def test_what_was_asked_for_is_not_changed(name: str) -> None:
    """The same request makes the same task when the server has forgotten the first."""
    asked = STORIES[name]()
    before = repr(asked)
    assert task_of(asked) == task_of(asked)
    assert repr(asked) == before


# names


@pytest.mark.parametrize("attempt", ["digits-aaaaaa-a1", "my.job_2-x1-a12"])
def test_a_cluster_is_named_after_its_attempt(attempt: str) -> None:
    assert attempt_of(cluster_name(attempt)) == attempt


@pytest.mark.parametrize("cluster", ["other", "spotwise", "my-spotwise-a1"])
def test_a_cluster_of_somebody_else_has_no_attempt(cluster: str) -> None:
    assert attempt_of(cluster) is None


@pytest.mark.parametrize(
    ("attempt", "name"), [("a--b-x1-a1", "a--b-x1-a1"), ("a---b-x1-a1", "a-b-x1-a1"), ("a._-_b-x1-a1", "a-b-x1-a1")]
)
def test_a_task_has_no_three_signs_in_a_row(attempt: str, name: str) -> None:
    """SkyPilot takes no such name for a task, and a job may have one."""
    assert task_of(request(offer(), attempt_id=attempt))["name"] == name


def test_wheels_and_requirements_that_differ_get_places_of_their_own() -> None:
    """Nodes may share a home, and attempts of two versions may run there at once."""
    plain, sweep = (task_of(STORIES[name]()) for name in ("aws-spot", "sweep"))
    assert plain["run"] != sweep["run"]


# places


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (Pool("aws", "us-east-1", "", "g4dn.xlarge"), "aws/us-east-1"),
        (Pool("aws", "us-east-1", "us-east-1a", "g4dn.xlarge"), "aws/us-east-1/us-east-1a"),
        (Pool("slurm", "hpc", "spot", "V100:1"), "slurm/hpc/spot"),
        (Pool("slurm", "hpc", "", "V100:1"), "slurm/hpc"),
        (Pool("kubernetes", "", "", "V100:1"), "kubernetes"),
        (Pool("kubernetes", "context", "name-of-pool", "V100:1"), "kubernetes/context"),
        (Pool("kubernetes", EKS, "", "V100:1"), f"kubernetes/{EKS}"),
        (Pool("ssh", "lab", "fast", "V100:1"), "ssh/lab"),
    ],
)
def test_places_are_written_as_skypilot_writes_them(pool: Pool, expected: str) -> None:
    assert infra(offer(pool=pool)) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"infra": "slurm/hpc/spot"}, ("slurm", "hpc", "spot")),
        ({"infra": "slurm/hpc/spot", "name": "fast"}, ("slurm", "hpc", "spot")),  # its name is no place
        ({"infra": "kubernetes/context"}, ("kubernetes", "context", "")),
        ({"infra": "kubernetes/context", "name": "spot"}, ("kubernetes", "context", "spot")),
        ({"infra": f"kubernetes/{EKS}", "name": "spot"}, ("kubernetes", EKS, "spot")),
        ({"infra": "k8s/context"}, ("kubernetes", "context", "")),
        ({"infra": "Kubernetes"}, ("kubernetes", "", "")),
    ],
)
def test_a_pool_of_the_settings_keeps_its_place(keys: dict[str, str], expected: tuple[str, str, str]) -> None:
    pool = pool_of(SkyPool.model_validate({**keys, "market": "spot", "price_usd_per_hour": "1"}))
    assert (pool.cloud, pool.region, pool.zone) == expected


def test_every_offer_finds_its_own_pool_again() -> None:
    """Also where several pools share a partition or a context: labels of another one would be the wrong nodes."""
    found = [[is_of(one, pool) for pool in POOLS] for one in pool_offers(POOLS)]
    assert found == [[i == j for j in range(len(POOLS))] for i in range(len(POOLS))]


def test_a_pool_of_the_settings_on_a_cloud_is_asked_for_as_spot() -> None:
    pool = SkyPool.model_validate({"infra": "lambda/us", "market": "spot", "price_usd_per_hour": "1"})
    assert pinned({}, pool_offers([pool])[0], pool) == [{"infra": "lambda/us", "use_spot": True}]


# resources


def of(resources: dict[str, Any], where: Offer = GCP) -> dict[str, Any]:
    (kept,) = pinned(resources, where)
    return {key: kept[key] for key in kept.keys() - {"infra", "accelerators", "instance_type", "use_spot"}}


@pytest.mark.parametrize("key", ["any_of", "ordered"])
@pytest.mark.parametrize(
    ("resources", "alternatives", "size"),
    [
        ({}, [{"infra": "aws", "disk_size": 1}, {"infra": "gcp", "disk_size": 2}], 2),
        ({"disk_size": 3}, [{"infra": "aws", "disk_size": 1}, {"infra": "gcp"}], 3),
        (
            {"infra": "aws"},
            [{"cpus": "4+", "disk_size": 1}, {"infra": "gcp", "disk_size": 2}],
            2,
        ),  # the first is on aws
        ({"cpus": "64+"}, [{"infra": "gcp", "disk_size": 1}, {"cpus": 4, "disk_size": 2}], 2),
        ({"use_spot": False}, [{"use_spot": True, "disk_size": 1}, {"disk_size": 2}], 1),
    ],
)
def test_of_several_alternatives_the_offers_own_counts(
    key: str, resources: dict[str, Any], alternatives: list[dict[str, Any]], size: int
) -> None:
    """An alternative lies over the keys beside it, here as where offers were selected."""
    assert of({**resources, key: alternatives})["disk_size"] == size


def test_an_instance_type_says_cpus_and_memory_and_a_pool_of_the_settings_does_not() -> None:
    wanted = {"cpus": "4+", "memory": "16+"}
    assert of(wanted) == {}
    where = pool_offer("A100:1")
    assert pinned(wanted, where, POOLS[1]) == [{"infra": "slurm/hpc/spot", "accelerators": "A100:1", **wanted}]


def test_a_machine_without_accelerators_is_asked_for_none() -> None:
    where = offer(pool=Pool("aws", "us-east-1", "", "m6i.large"), accelerator=None, accelerator_count=0)
    assert "accelerators" not in pinned({}, where)[0]


# everything else


def test_pods_go_to_the_pools_nodes_and_the_jobs_own_wishes_stay() -> None:
    spec = task_of(STORIES["kubernetes"]())["config"]["kubernetes"]["pod_config"]["spec"]
    assert spec["nodeSelector"] == {"disk": "nvme", "karpenter.sh/capacity-type": "spot", "team": "vision"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


@pytest.mark.parametrize("empty", [None, {}, {"kubernetes": None}, {"kubernetes": {"pod_config": {"spec": None}}}])
def test_pods_go_to_the_pools_nodes_also_where_the_job_says_nothing(empty: Any) -> None:
    where = pool_offer("T4:1", Market.ON_DEMAND)
    config = task_of(request(where, task={"config": empty}))["config"]
    assert config["kubernetes"]["pod_config"]["spec"]["nodeSelector"] == {"karpenter.sh/capacity-type": "on-demand"}


def test_variables_that_only_the_agent_knows_are_left_to_it() -> None:
    env = dict.fromkeys(("SPOTWISE_PROGRESS_URL", "SPOTWISE_PYTHON", "SPOTWISE_RUN_FOLDER", "MINE"), "x")
    envs = task_of(request(offer(), env=env))["envs"]
    assert envs == {
        "MINE": "x",
        "SPOTWISE_ATTEMPT_ID": "digits-aaaaaa-a3",
        "SPOTWISE_ATTEMPT": "3",
        "SPOTWISE_RUN_URL": "s3://bucket/spotwise/digits-aaaaaa",
    }


@pytest.mark.parametrize("key", ["version", "_policies"])
def test_keys_that_skypilot_no_longer_takes_do_not_reach_it(key: str) -> None:
    assert key not in task_of(request(offer(), task={key: 1}))


def test_buckets_under_their_older_name_are_mounted() -> None:
    """Of two mounts for one path the newer word counts."""
    task = {"storage_mounts": {"/a": {"name": "a"}, "/b": {"name": "old"}}, "file_mounts": {"/b": {"name": "b"}}}
    mounts = task_of(request(offer(), task=task))["file_mounts"]
    assert [mounts["/a"], mounts["/b"], len(mounts)] == [{"name": "a"}, {"name": "b"}, 3]


def test_names_of_secrets_that_the_server_keeps_are_passed_on() -> None:
    assert task_of(request(offer(), task={"secrets": ["secrets:TOKEN"]}))["secrets"] == ["secrets:TOKEN"]


@pytest.mark.parametrize(
    ("url", "is_sweep", "expected"),
    [
        ("/shared/runs", False, ["psutil"]),
        ("s3://bucket", False, ["psutil", "fsspec", "s3fs"]),
        ("gs://bucket", False, ["psutil", "fsspec", "gcsfs"]),
        ("/shared/runs", True, ["psutil", "numpy", "optuna", "ray[tune]", "scipy", "threadpoolctl"]),
    ],
)
def test_the_agent_gets_what_it_needs_and_no_more(url: str, is_sweep: bool, expected: list[str]) -> None:
    assert requirement_names(request(offer(), run_url=url, is_sweep=is_sweep)) == expected


def test_the_jobs_scripts_find_conda_where_there_is_one_and_run_without() -> None:
    script = as_skypilot_runs_it('echo "ran $?"')
    done = subprocess.run(
        ["bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "ran 0\n"
    assert as_skypilot_runs_it("") == "", "no setup stays none"


def test_a_wheel_that_nodes_see_does_not_travel_along() -> None:
    there = "/shared/spotwise/wheels/0123456789abcdef/spotwise-0.1.0-py3-none-any.whl"
    task = sky_task(request(offer()), replace(WHEEL, on_nodes=there), ["psutil==7.0.0"])
    assert "file_mounts" not in task
    assert f'-m zipfile -e "{there}"' in task["run"]


# zones and labels

ANYWHERE = offer(pool=Pool("gcp", "us-central1", "", "n1-standard-8", "T4:1"))


def test_a_zone_that_the_job_names_is_kept_to() -> None:
    (place,) = pinned({"infra": "gcp/us-central1/us-central1-a"}, ANYWHERE)
    assert place["infra"] == "gcp/us-central1/us-central1-a"


def test_of_several_zones_skypilot_tries_one_after_the_other() -> None:
    asked = {"infra": "gcp", "any_of": [{"zone": "us-central1-f"}, {"zone": "us-east4-a"}, {"zone": "us-central1-a"}]}
    resources = task_of(request(ANYWHERE, task={"resources": asked}))["resources"]
    assert resources == {
        "accelerators": "T4:1",
        "use_spot": True,
        "instance_type": "n1-standard-8",
        "ordered": [{"infra": f"gcp/us-central1/us-central1-{letter}"} for letter in "fa"],
    }


def test_a_choice_has_the_labels_beside_the_list_and_its_own_and_none_of_the_others() -> None:
    asked = {
        "labels": {"team": "vision", "cost": "base"},
        "any_of": [{"infra": "aws", "labels": {"only": "aws"}}, {"infra": "gcp", "labels": {"cost": "gcp"}}],
    }
    assert of(asked, ANYWHERE)["labels"] == {"team": "vision", "cost": "gcp"}
    assert asked["labels"] == {"team": "vision", "cost": "base"}


def test_labels_that_differ_stand_with_each_place_and_nowhere_else() -> None:
    """SkyPilot lays a choice's labels into those beside the list, where the choices after it find them."""
    places = [{"infra": "aws", "labels": {"a": "1"}, "x": 1}, {"infra": "gcp", "labels": {"b": "1"}, "x": 1}]
    assert in_order(places) == {
        "x": 1,
        "ordered": [{"infra": "aws", "labels": {"a": "1"}}, {"infra": "gcp", "labels": {"b": "1"}}],
    }


def test_hooks_of_resources_stand_in_the_config_where_skypilot_takes_them() -> None:
    asked = {"resources": {"hooks": [{"run": "b"}]}, "config": {"hooks": [{"run": "a"}], "aws": {"vpc_name": "x"}}}
    task = task_of(request(offer(), task=asked))
    assert task["config"] == {"hooks": [{"run": "a"}, {"run": "b"}], "aws": {"vpc_name": "x"}}
    assert "hooks" not in task["resources"]
