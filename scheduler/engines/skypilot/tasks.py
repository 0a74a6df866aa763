"""From an attempt to the SkyPilot task that runs it. Pure: golden files show what comes out.

The job's own keys stay as they are; the place is pinned. Our part is small: a wheel that travels along, and a ``run``
that makes a Python for the agent and starts it. The job's ``setup`` and ``run`` are the agent's to run, so that their
ends, times and output are known wherever they happen; SkyPilot is given no ``setup``, since it takes seconds for one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from spotwise.cost_models.offer import Offer, Pool
from spotwise.cost_models.selection import NAMED_WHOLE, asked_zones, reject_reason

from ...jobfile.settings import SkyPool
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
SWEEP = ("numpy", "optuna", "ray[tune]", "scipy", "threadpoolctl")

# The place is ours to choose: what the job says of it has been heeded when its offers were selected.
_PLACE = frozenset(
    {"any_of", "ordered", "cloud", "region", "zone", "infra", "use_spot", "instance_type", "accelerators"}
)
_OF_A_PLACE = _PLACE | {"disk_tier", "image_id", "local_disk", "network_tier", "volumes"}  # or what one may not have
_OURS = frozenset({"job_recovery", "spot_recovery", "autostop", "max_hourly_cost"})  # and so are recovery and ending
_REWRITTEN = frozenset({"resources", "file_mounts", "storage_mounts", "config"})  # never passed on as they are
_UNKNOWN_TO_SKYPILOT = frozenset({"version", "_policies"})  # it refuses a task that has them
_NO_MARKETS = frozenset({"kubernetes", "slurm", "ssh"})  # SkyPilot knows no spot there: which pool it is says it
_ON_THE_NODE = frozenset({"SPOTWISE_PROGRESS_URL", "SPOTWISE_PYTHON", "SPOTWISE_RUN_FOLDER"})  # the agent knows better
_CLOUDS = {"k8s": "kubernetes"}

_CONDA = '[ -z "$CONDA_EXE" ] || . "$(dirname "$(dirname "$CONDA_EXE")")/etc/profile.d/conda.sh"'


@dataclass(frozen=True, slots=True)
class Wheel:
    """The package that travels along."""

    path: Path
    digest: str  # of its content: nodes that have it need not unpack it again
    on_nodes: str = ""  # where nodes see it already, in a folder that they share; "": it has to travel along


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
    task = passed_on(request.task)
    place = f"{NODE_HOME}/wheels/{wheel.digest}/{wheel.path.name}"
    digest = hashlib.sha256(" ".join([wheel.digest, *requirements]).encode()).hexdigest()[:12]
    names = {"wheel": wheel.on_nodes or place.replace("~", "$HOME"), "digest": digest}
    file_mounts = {**mounts(request.task), **({} if wheel.on_nodes else {place: str(wheel.path)})}
    resources = request.task.get("resources") or {}
    config = config_on(with_hooks(request.task.get("config") or {}, resources), pool)
    return {
        **task,
        "name": re.sub(r"[._-]{3,}", "-", request.attempt_id),  # more in a row are no name to SkyPilot
        "num_nodes": request.nodes,
        "resources": in_order(pinned(resources, request.offer, pool)),
        "envs": _environment(request),
        **({"secrets": dict(request.secrets)} if request.secrets else {}),
        **({"file_mounts": file_mounts} if file_mounts else {}),
        "run": _script("node_setup.sh", requirements=" ".join(f"'{r}'" for r in requirements), **names)
        + _script("node_run.sh", **names),
        **({"config": config} if config else {}),
    }


def pinned(
    resources: Mapping[str, Any], offer: Offer, pool: SkyPool | None = None, *, with_recovery: bool = False
) -> list[dict[str, Any]]:
    """The job's ``resources`` on this offer, and nowhere else: one place, or one for each zone that the job names.

    Args:
        with_recovery: keep what spotwise does in SkyPilot's stead: recovery, ending when idle, a cap of the price.
    """
    alternative = _alternative(resources, offer)
    without = _PLACE | {"hooks"} | (frozenset() if with_recovery else _OURS)
    kept = {key: value for key, value in {**resources, **alternative}.items() if key not in without}
    place: dict[str, Any] = {"infra": infra(offer)}
    if offer.accelerator:
        place["accelerators"] = offer.accelerators()
    if offer.pool.cloud not in _NO_MARKETS:
        place["use_spot"] = offer.is_spot
    if labels := {**_labels(resources), **_labels(alternative)}:
        kept["labels"] = labels
    if pool is None and offer.pool.instance_type:
        place["instance_type"] = offer.pool.instance_type
        kept = {key: value for key, value in kept.items() if key not in ("cpus", "memory")}  # it says them
    zones = asked_zones(offer, resources) or [""]
    return [{**_whole_node(pool), **kept, **place, "infra": _within(place["infra"], zone)} for zone in zones]


def anywhere(task: Mapping[str, Any]) -> dict[str, Any]:
    """The same task, whatever the place: what SkyPilot has against it then is no matter of where it runs."""
    resources = {key: value for key, value in task["resources"].items() if key not in _OF_A_PLACE}
    return {**{key: value for key, value in task.items() if key != "volumes"}, "resources": resources}


def in_order(places: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``resources`` that try these places one after the other. What all of them share stands once.

    Labels that differ stand with each place and nowhere else: SkyPilot lays a choice's labels into the ones that stand
    beside the list, where the choices after it find them.
    """
    if len(places) == 1:
        return dict(places[0])
    shared = {k: v for k, v in places[0].items() if k != "infra" and all(_has(place, k, v) for place in places)}
    return {**shared, "ordered": [{k: v for k, v in place.items() if k not in shared} for place in places]}


def _has(place: Mapping[str, Any], key: str, value: Any) -> bool:
    return key in place and bool(place[key] == value)


def _labels(resources: Mapping[str, Any]) -> Mapping[str, Any]:
    return resources.get("labels") or {}


def _within(place: str, zone: str) -> str:
    return f"{place}/{zone}" if zone else place


def _whole_node(pool: SkyPool | None) -> dict[str, Any]:
    """A node of the settings' pools is paid for as a whole, so a job that names no size gets all of it."""
    size = {"cpus": pool.cpus, "memory": pool.memory} if pool is not None else {}
    return {key: amount for key, amount in size.items() if amount}


def infra(offer: Offer) -> str:
    """Where an offer is, as SkyPilot writes it."""
    pool = offer.pool
    parts = (pool.cloud, pool.region) if pool.cloud in NAMED_WHOLE else (pool.cloud, pool.region, pool.zone)
    return "/".join(part for part in parts if part)


def is_of(offer: Offer, pool: SkyPool) -> bool:
    """Whether the offer is this pool of the settings."""
    return offer.market is pool.market and offer.pool == pool_of(pool)


def pool_of(pool: SkyPool) -> Pool:
    """A pool of the settings, as statistics know it. On Kubernetes its name stands where a zone would."""
    cloud, _, place = pool.infra.strip("/").partition("/")
    cloud = _CLOUDS.get(cloud.lower(), cloud.lower())
    region, _, zone = (place, "", pool.name or "") if cloud in NAMED_WHOLE else place.partition("/")
    return Pool(cloud, region, zone, pool.accelerators or "cpu")


def as_skypilot_runs_it(script: str) -> str:
    """The job's script with `conda activate` at hand, as scripts that SkyPilot starts have it."""
    return f"{_CONDA}\n{script}" if script else ""


def requirement_names(request: LaunchRequest) -> list[str]:
    """What the agent needs for this attempt, by name."""
    names = [*AGENT, *BEHIND_URLS.get(urlsplit(request.run_url).scheme, ())]
    return [*names, *(SWEEP if request.is_sweep else ())]


def _alternative(resources: Mapping[str, Any], offer: Offer) -> Mapping[str, Any]:
    """Which of ``any_of`` or ``ordered`` the offer came from: the first that, laid over the rest, allows it."""
    base = {key: value for key, value in resources.items() if key not in ("any_of", "ordered")}
    alternatives = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    fitting = (one for one in alternatives if reject_reason(offer, {**base, **one}) is None)
    return next(fitting, {})


def passed_on(task: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a task that SkyPilot gets as they are."""
    return {key: value for key, value in task.items() if key not in _REWRITTEN | _UNKNOWN_TO_SKYPILOT}


def mounts(task: Mapping[str, Any]) -> dict[str, Any]:
    """Files and buckets; ``storage_mounts`` is a word that SkyPilot no longer knows for the latter."""
    return {**(task.get("storage_mounts") or {}), **(task.get("file_mounts") or {})}


def _environment(request: LaunchRequest) -> dict[str, str]:
    env = {name: value for name, value in request.env.items() if name not in _ON_THE_NODE}
    number = request.attempt_id.rpartition("-a")[2]
    ours = {"SPOTWISE_ATTEMPT_ID": request.attempt_id, "SPOTWISE_ATTEMPT": number, "SPOTWISE_RUN_URL": request.run_url}
    return {**env, **ours}


def with_hooks(config: Mapping[str, Any], resources: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hooks stand in ``config``: under ``resources``, where they once stood, SkyPilot takes them no more."""
    hooks = resources.get("hooks")
    return {**config, "hooks": [*(config.get("hooks") or ()), *hooks]} if hooks else config


def config_on(config: Mapping[str, Any], pool: SkyPool | None) -> dict[str, Any]:
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
