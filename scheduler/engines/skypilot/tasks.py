"""From an attempt to the SkyPilot task that runs it. Pure: golden files show what comes out.

The job's own keys stay as they are; the place is pinned. Our part is small: a wheel that travels along, a ``setup``
that makes a Python for the agent, and a ``run`` that starts it. The job's ``setup`` and ``run`` are the agent's to run,
so that their ends, times and output are known wherever they happen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from spotwise.cost_models.offer import Offer

from ...settings import SkyPool
from ..base import LaunchRequest

CLUSTER_PREFIX = "spotwise-"
NODE_HOME = "~/.spotwise"

# What the agent and the sweep host need beyond the standard library, by what they have to do.
AGENT = ("psutil",)
BEHIND_URLS = {
    "s3": ("fsspec", "s3fs"),
    "gs": ("fsspec", "gcsfs"),
    "gcs": ("fsspec", "gcsfs"),
    "az": ("fsspec", "adlfs"),
}
SWEEP = ("numpy", "optuna", "ray[tune]")

# The place is ours to choose: what the job says of it has been heeded when its offers were selected.
_PLACE = frozenset(
    {"any_of", "ordered", "cloud", "region", "zone", "infra", "use_spot", "instance_type", "accelerators"}
)
_OURS = ("job_recovery", "spot_recovery", "autostop", "max_hourly_cost")  # and so are recovery and ending
_ON_THE_NODE = frozenset({"SPOTWISE_PROGRESS_URL", "SPOTWISE_PYTHON", "SPOTWISE_RUN_FOLDER"})  # the agent knows better


_CONDA = '[ -z "$CONDA_EXE" ] || . "$(dirname "$(dirname "$CONDA_EXE")")/etc/profile.d/conda.sh"'


@dataclass(frozen=True, slots=True)
class Wheel:
    """The package that travels along."""

    path: Path
    digest: str  # of its content: nodes that have it need not unpack it again


def cluster_name(attempt_id: str) -> str:
    """The cluster of an attempt."""
    return f"{CLUSTER_PREFIX}{attempt_id}"


def attempt_of(cluster: str) -> str | None:
    """The attempt that a cluster is named after; None if it is not one of ours."""
    return cluster.removeprefix(CLUSTER_PREFIX) if cluster.startswith(CLUSTER_PREFIX) else None


def sky_task(
    request: LaunchRequest, wheel: Wheel, requirements: Sequence[str], pools: Sequence[SkyPool] = ()
) -> dict[str, Any]:
    """The task as `sky.Task.from_yaml_config` takes it.

    Args:
        requirements: what pip installs for the agent, each as ``name==version``.
        pools: the settings' own pools; one of them may be the offer's.
    """
    pool = next((pool for pool in pools if is_of(request.offer, pool)), None)
    task = {key: value for key, value in request.task.items() if key not in ("resources", "file_mounts", "config")}
    wheel_on_node = f"{NODE_HOME}/wheels/{wheel.digest}/{wheel.path.name}"
    digest = hashlib.sha256(" ".join([wheel.digest, *requirements]).encode()).hexdigest()[:12]
    names = {"wheel": wheel_on_node.replace("~", "$HOME"), "digest": digest}
    config = _config(request.task.get("config") or {}, pool)
    return {
        **task,
        "name": request.attempt_id,
        "num_nodes": request.nodes,
        "resources": pinned(request.task.get("resources") or {}, request.offer, pool),
        "envs": _environment(request),
        **({"secrets": dict(request.secrets)} if request.secrets else {}),
        "file_mounts": {**(request.task.get("file_mounts") or {}), wheel_on_node: str(wheel.path)},
        "setup": _script("node_setup.sh", requirements=" ".join(f"'{r}'" for r in requirements), **names),
        "run": _script("node_run.sh", **names),
        **({"config": config} if config else {}),
    }


def pinned(resources: Mapping[str, Any], offer: Offer, pool: SkyPool | None = None) -> dict[str, Any]:
    """The job's ``resources`` on this offer, and nowhere else."""
    kept = {key: value for key, value in resources.items() if key not in _PLACE and key not in _OURS}
    alternative = _alternative(resources, offer)
    kept |= {key: value for key, value in alternative.items() if key not in _PLACE and key not in _OURS}
    place: dict[str, Any] = {"infra": infra(offer)}
    if offer.accelerator:
        place["accelerators"] = offer.accelerators()
    if pool is None:
        place |= {"instance_type": offer.pool.instance_type} if offer.pool.instance_type else {}
        place["use_spot"] = offer.is_spot
        kept.pop("cpus", None)  # the instance type says it
        kept.pop("memory", None)
    return {**kept, **place}


def infra(offer: Offer) -> str:
    """Where an offer is, as SkyPilot writes it."""
    pool = offer.pool
    if pool.cloud == "kubernetes":
        return f"kubernetes/{pool.region}" if pool.region else "kubernetes"
    return "/".join(part for part in (pool.cloud, pool.region, pool.zone) if part)


def is_of(offer: Offer, pool: SkyPool) -> bool:
    """Whether the offer is this pool of the settings."""
    return offer.market is pool.market and pool_key(pool) == (offer.pool.cloud, offer.pool.region, offer.pool.zone)


def pool_key(pool: SkyPool) -> tuple[str, str, str]:
    """Cloud, region and zone of a pool of the settings. On Kubernetes its name stands where a zone would."""
    cloud, _, place = pool.infra.partition("/")
    region, _, zone = place.partition("/")
    return cloud, region, zone or (pool.name or "")


def as_skypilot_runs_it(script: str) -> str:
    """The job's script with `conda activate` at hand, as scripts that SkyPilot starts have it."""
    return f"{_CONDA}\n{script}" if script else ""


def requirement_names(request: LaunchRequest) -> list[str]:
    """What the agent needs for this attempt, by name."""
    names = [*AGENT, *BEHIND_URLS.get(urlsplit(request.run_url).scheme, ())]
    return [*names, *(SWEEP if request.is_sweep else ())]


def _alternative(resources: Mapping[str, Any], offer: Offer) -> Mapping[str, Any]:
    """Which of ``any_of`` or ``ordered`` the offer came from: the first that names its place or its accelerators."""
    from spotwise.cost_models.selection import reject_reason

    alternatives = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    fitting = (one for one in alternatives if reject_reason(offer, one) is None)
    return next(fitting, {})


def _environment(request: LaunchRequest) -> dict[str, str]:
    env = {name: value for name, value in request.env.items() if name not in _ON_THE_NODE}
    number = request.attempt_id.rpartition("-a")[2]
    ours = {"SPOTWISE_ATTEMPT_ID": request.attempt_id, "SPOTWISE_ATTEMPT": number, "SPOTWISE_RUN_URL": request.run_url}
    return {**env, **ours}


def _config(config: Mapping[str, Any], pool: SkyPool | None) -> dict[str, Any]:
    """On Kubernetes a pool is the nodes with these labels."""
    if pool is None or not pool.node_labels:
        return dict(config)
    kubernetes = dict(config.get("kubernetes") or {})
    pod = dict(kubernetes.get("pod_config") or {})
    spec = dict(pod.get("spec") or {})
    spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **pool.node_labels}
    return {**config, "kubernetes": {**kubernetes, "pod_config": {**pod, "spec": spec}}}


def _script(name: str, **values: str) -> str:
    return _Braces(files(__package__).joinpath(name).read_text(encoding="utf-8")).substitute(values)


class _Braces(Template):
    """``@{name}`` is ours; ``$name`` stays the shell's."""

    delimiter = "@"
