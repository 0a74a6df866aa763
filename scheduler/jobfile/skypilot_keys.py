"""The keys of a SkyPilot 0.14 task, and which of them an engine has no use for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANY: dict[str, Any] = {}
_MAPPING: dict[str, Any] = {"type": "object"}
_LIST: dict[str, Any] = {"type": "array"}
_TEXT: dict[str, Any] = {"type": "string"}

# Keys that pass through unread. The others (run, setup, resources, ...) are fields of JobSpec.
PASSED_THROUGH: dict[str, tuple[dict[str, Any], str]] = {
    "file_mounts": (_MAPPING, "Files and buckets to make available on the node."),
    "file_mounts_mapping": (_MAPPING, "Written by SkyPilot's client: where uploaded file mounts lie."),
    "storage_mounts": (_MAPPING, "Buckets to mount."),
    "volumes": (_MAPPING, "Volumes to mount, by path."),
    "volume_mounts": (_LIST, "Written by SkyPilot's client: resolved volumes."),
    "config": (_MAPPING, "SkyPilot configuration for this job only."),
    "event_callback": (_TEXT, "Shell command that SkyPilot runs when a managed job changes state."),
    "inputs": (_MAPPING, "Estimated input data in GB, by URL."),
    "outputs": (_MAPPING, "Estimated output data in GB, by URL."),
    "service": (_MAPPING, "SkyServe service."),
    "pool": (_MAPPING, "Pool of workers for managed jobs."),
    "managed_secrets": (_LIST, "Names of secrets that SkyPilot's server keeps."),
    "api_server_access": ({"type": "boolean"}, "Whether the node may call SkyPilot's API server."),
    "version": (_ANY, "Version of the file's format, where a tool writes one."),
    "_metadata": (_MAPPING, "Written by SkyPilot's client."),
    "_policies": (_ANY, "Written by SkyPilot's client."),
}

# fmt: off
RESOURCE_KEYS = frozenset(
    [
        "accelerator_args", "accelerators", "any_of", "autostop", "cloud", "cpus", "disk_size", "disk_tier",
        "ephemeral_storage", "hooks", "image_id", "infra", "instance_type", "job_recovery", "labels",
        "local_disk", "max_hourly_cost", "memory", "network_tier", "ordered", "ports", "priority",
        "priority_class", "region", "spot_recovery", "use_spot", "volumes", "zone", "_cluster_config_overrides",
        "_docker_login_config", "_is_image_managed", "_no_missing_accel_warnings", "_requires_fuse",
    ]
)

# Short names that SkyPilot takes for the same keys.
RESOURCE_ALIASES = {"gpus": "accelerators"}

CLOUDS = (
    "aws", "azure", "cudo", "do", "fluidstack", "gcp", "hyperbolic", "ibm", "k8s", "kubernetes", "lambda", "mithril",
    "nebius", "oci", "paperspace", "primeintellect", "runpod", "scp", "seeweb", "shadeform", "slurm", "ssh", "vast",
    "verda", "vsphere", "yotta",
)

# What the local engine's market can choose by; it starts processes on this machine, so nothing else applies.
_LOCAL_RESOURCES = frozenset(
    [
        "accelerators", "any_of", "cloud", "cpus", "infra", "instance_type", "max_hourly_cost", "memory",
        "ordered", "region", "use_spot", "zone",
    ]
)
# fmt: on


# What only SkyPilot's managed jobs, services or optimizer act on: spotwise takes their place, or starts plain clusters.
_UNUSED_ON_SKYPILOT = {
    "event_callback": "only SkyPilot's managed jobs call it",
    "inputs": "spotwise, not SkyPilot's optimizer, chooses the place",
    "outputs": "spotwise, not SkyPilot's optimizer, chooses the place",
    "pool": "spotwise starts a cluster of its own for each attempt",
    "service": "spotwise trains and serves nothing",
    "version": "SkyPilot does not know it",
    "_policies": "SkyPilot does not know it",
}
_RECOVERS = "spotwise recovers the job itself, and after crash_limit crashes in a row without progress it gives up"
_UNUSED_RESOURCES_ON_SKYPILOT = {
    "autostop": "nodes end themselves after skypilot.autostop of the settings",
    "job_recovery": _RECOVERS,
    "priority": "only SkyPilot's managed jobs act on it",
    "spot_recovery": _RECOVERS,
}
_WITHOUT_ORDER = "all are considered, and the policy chooses; only the order has no effect"


def unused_by(engine: str, sky: Mapping[str, Any], resources: Mapping[str, Any], num_nodes: int) -> list[str]:
    """One note for each SkyPilot key that is accepted and has no effect on this engine."""
    if engine == "skypilot":
        return _unused_by_skypilot(sky, resources)
    if engine != "local":
        return []
    notes = [f"{key}: no effect on the local engine" for key in sorted(sky)]
    ignored = sorted(set(resources) - _LOCAL_RESOURCES)
    notes += [f"resources.{key}: no effect on the local engine" for key in ignored]
    if num_nodes > 1:
        notes.append(f"num_nodes: the local engine has one machine and starts 1 process, not {num_nodes}")
    return [*notes, *_without_order(resources)]


def _unused_by_skypilot(sky: Mapping[str, Any], resources: Mapping[str, Any]) -> list[str]:
    alternatives = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    asked = {key for one in (resources, *alternatives) for key in one}
    notes = [f"{key}: no effect: {why}" for key, why in _UNUSED_ON_SKYPILOT.items() if key in sky]
    whys = {key: f"no effect: {why}" for key, why in _UNUSED_RESOURCES_ON_SKYPILOT.items()}
    unused = [f"resources.{key}: {whys[key]}" for key in whys if key in asked]
    return [*notes, *sorted([*unused, *_without_order(resources)])]


def _without_order(resources: Mapping[str, Any]) -> list[str]:
    """To SkyPilot a list is an order of preference, and a set is none."""
    accelerators = resources.get("accelerators")
    listed = ["accelerators"] if isinstance(accelerators, list) and len(accelerators) > 1 else []
    return [f"resources.{key}: {_WITHOUT_ORDER}" for key in (*listed, *(["ordered"] if "ordered" in resources else []))]
