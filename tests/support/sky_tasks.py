"""Attempts of every kind and the SkyPilot tasks that run them; `tests/golden/skypilot` holds what comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from factories import offer

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.engines.base import LaunchRequest
from spotwise.scheduler.engines.skypilot.offers import pool_offers
from spotwise.scheduler.engines.skypilot.tasks import Wheel, requirement_names, sky_task
from spotwise.scheduler.jobfile.settings import SkyPool

GOLDEN = Path(__file__).parents[1] / "golden" / "skypilot"
WHEEL = Wheel(Path("/home/ana/.spotwise/skypilot/wheels/spotwise-0.1.0-py3-none-any.whl"), "0123456789abcdef")
SECRET = "s3cr3t-value"  # noqa: S105 - nobody's
EKS = "arn:aws:eks:us-east-1:123456789012:cluster/gpus"

_POOLS = [
    {"infra": "slurm/hpc/spot", "market": "spot", "price_usd_per_hour": "0.9", "accelerators": "V100:1", "cpus": 8},
    {"infra": "slurm/hpc/spot", "market": "spot", "price_usd_per_hour": "2", "accelerators": "A100:1", "cpus": 8},
    {
        "infra": f"kubernetes/{EKS}",
        "market": "spot",
        "price_usd_per_hour": "0.4",
        "accelerators": "T4:1",
        "name": "spot-t4",
        "node_labels": {"karpenter.sh/capacity-type": "spot", "team": "vision"},
    },
    {
        "infra": f"kubernetes/{EKS}",
        "market": "on_demand",
        "price_usd_per_hour": "1.2",
        "accelerators": "T4:1",
        "name": "od-t4",
        "node_labels": {"karpenter.sh/capacity-type": "on-demand"},
    },
]
POOLS = [SkyPool.model_validate(pool) for pool in _POOLS]
AWS = offer(pool=Pool("aws", "us-east-1", "", "g4dn.xlarge"))
GCP = offer(
    market=Market.ON_DEMAND,
    price="0.73",
    pool=Pool("gcp", "us-central1", "us-central1-a", "n1-standard-8", "T4:1"),
)


def pool_offer(accelerators: str, market: Market = Market.SPOT) -> Offer:
    found = (o for o in pool_offers(POOLS) if (o.accelerators(), o.market) == (accelerators, market))
    return next(found)


def request(where: Offer, **changes: Any) -> LaunchRequest:
    """Attempt 3 of a job, as the supervisor asks for it."""
    values: dict[str, Any] = {
        "attempt_id": "digits-aaaaaa-a3",
        "run_id": "digits-aaaaaa",
        "offer": where,
        "setup": "pip install torch",
        "command": "python train.py",
        "workdir": "/home/ana/digits",
        "folder": "/home/ana/.spotwise/runs/digits-aaaaaa",
        "env": {"SPOTWISE_RUN_ID": "digits-aaaaaa", "SPOTWISE_ATTEMPT": "3", "EMPTY": ""},
        "run_url": "s3://bucket/spotwise/digits-aaaaaa",
        "task": {"resources": {"accelerators": "T4:1"}, "workdir": "/home/ana/digits"},
    }
    return LaunchRequest(**{**values, **changes})


def task_of(asked: LaunchRequest) -> dict[str, Any]:
    return sky_task(asked, WHEEL, [f"{name}==1.0" for name in requirement_names(asked)], POOLS)


def _aws_spot() -> LaunchRequest:
    resources = {
        "infra": "aws/us-east-1",
        "accelerators": {"T4": 1},
        "cpus": "4+",
        "memory": "16+",
        "use_spot": True,
        "job_recovery": {"strategy": "failover"},
        "autostop": 10,
        "max_hourly_cost": 2.5,
    }
    return request(AWS, task={"resources": resources, "workdir": "/home/ana/digits"})


def _gcp_on_demand() -> LaunchRequest:
    image = "projects/ml/global/images/torch-2"
    resources = {"cloud": "gcp", "accelerators": ["T4:1", "V100:1"], "image_id": image, "disk_size": 200}
    return request(GCP, task={"resources": {**resources, "labels": {"team": "vision"}}})


def _slurm() -> LaunchRequest:
    resources = {"infra": "slurm/hpc", "accelerators": "A100:1", "cpus": "8", "memory": "32+", "use_spot": True}
    return request(pool_offer("A100:1"), run_url="/shared/spotwise/digits-aaaaaa", task={"resources": resources})


def _kubernetes() -> LaunchRequest:
    spec = {"nodeSelector": {"disk": "nvme", "team": "mine"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    pod = {"metadata": {"labels": {"app": "digits"}}, "spec": spec}
    config = {"kubernetes": {"pod_config": pod, "provision_timeout": 900}}
    return request(pool_offer("T4:1"), task={"resources": {"accelerators": "T4:1"}, "config": config})


def _two_nodes() -> LaunchRequest:
    ordered = [
        {"infra": "aws", "accelerators": "T4:1", "disk_size": 100},
        {"infra": "gcp", "cpus": "8+", "disk_size": 200},
        {"infra": "gcp", "cpus": "4+", "disk_size": 400, "use_spot": False},
    ]
    where = offer(pool=Pool("gcp", "us-central1", "", "n1-standard-4", "T4:1"))
    return request(where, nodes=2, task={"resources": {"accelerators": "T4:1", "ordered": ordered}})


def _sweep() -> LaunchRequest:
    command = '"$SPOTWISE_PYTHON" -m spotwise.scheduler.tuning.host'
    return request(AWS, is_sweep=True, hosts=2, setup="", command=command)


def _everything() -> LaunchRequest:
    task = {
        "workdir": {"url": "https://github.com/ana/digits", "ref": "v1"},
        "file_mounts": {"/data": "s3://data/digits", "~/.netrc": "/home/ana/.netrc"},
        "volumes": {"/cache": "cache-volume"},
        "config": {"docker": {"run_options": ["--shm-size=8g"]}},
        "api_server_access": True,
        "version": 1,
        "resources": {
            "any_of": [{"infra": "gcp"}, {"infra": "aws", "disk_tier": "high"}],
            "accelerators": "T4:1",
            "image_id": "docker:pytorch/pytorch:latest",
            "disk_size": "256GB",
            "ports": [8080],
            "region": "us-east-1",
        },
    }
    return request(AWS, task=task, secrets={"TOKEN": SECRET})


STORIES: dict[str, Callable[[], LaunchRequest]] = {
    "aws-spot": _aws_spot,
    "gcp-on-demand": _gcp_on_demand,
    "slurm": _slurm,
    "kubernetes": _kubernetes,
    "two-nodes": _two_nodes,
    "sweep": _sweep,
    "everything": _everything,
}
