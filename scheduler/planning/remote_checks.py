"""What somebody must know of a job before it runs on machines other than this one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spotwise.cost_models.features import AUTODOWN, MULTI_NODE, STORAGE_MOUNTING
from spotwise.cost_models.offer import Offer

from ..core.errors import InputError
from ..jobfile.job_spec import JobSpec

_MOUNTS = ("file_mounts", "storage_mounts", "volumes")


def check_remote(job: JobSpec) -> None:
    """Refuse what would lose the work of a node that goes away.

    Raises:
        InputError: checkpoints would lie in a folder that each node has its own of.
    """
    to = job.checkpoint.to
    if to is None or "://" in to or to.startswith("/") or _is_mounted(to, job.sky):
        return
    raise InputError(
        f"checkpoint.to: found {to!r}, a folder that counts from another place on each node, where it is lost with the "
        "node; allowed: a URL such as s3://bucket/path, the whole path of a folder that all nodes see, or nothing: "
        "checkpoints then lie under skypilot.storage"
    )


def remote_notes(job: JobSpec, offers: Sequence[Offer]) -> list[str]:
    """What may be meant otherwise."""
    return [*_of_checkpoints(job), *_of_machines(job.resources or {}, offers)]


def needed_features(job: JobSpec) -> list[str]:
    """What the job needs of a place beyond its ``resources``, and the engine so that no machine is left over."""
    several = [MULTI_NODE] if job.num_nodes > 1 else []
    buckets = [mount for key in ("file_mounts", "storage_mounts") for mount in (job.sky.get(key) or {}).values()]
    mounted = any(isinstance(mount, Mapping) and _mode(mount) != "COPY" for mount in buckets)
    return [*several, *([STORAGE_MOUNTING] if mounted else []), AUTODOWN]


def _mode(mount: Mapping[str, Any]) -> str:
    return str(mount.get("mode") or "MOUNT").upper()


def outlives_nodes(job: JobSpec) -> bool:
    """Whether the job file names a place for checkpoints that is not on the node alone."""
    to = job.checkpoint.to
    return to is not None and ("://" in to or to.startswith("/"))


def _of_checkpoints(job: JobSpec) -> Iterator[str]:
    to = job.checkpoint.to
    if to is not None and to.startswith("/") and not _is_mounted(to, job.sky):
        yield f"checkpoint.to: every node must see the folder {to}, or checkpoints are lost with the node"


def _of_machines(resources: Mapping[str, Any], offers: Sequence[Offer]) -> Iterator[str]:
    """SkyPilot can be asked for machines with accelerators only."""
    if offers and not _names_accelerators(resources) and all(offer.accelerator for offer in offers):
        yield (
            "resources.accelerators: none are asked for, and only machines with accelerators are known: machines "
            "without are never chosen; describe such nodes of your own in skypilot.pools"
        )


def _names_accelerators(resources: Mapping[str, Any]) -> bool:
    alternatives = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    return any(one.get("accelerators") for one in (resources, *alternatives))


def _is_mounted(to: str, sky: Mapping[str, Any]) -> bool:
    """Whether it lies in something that the job itself mounts: a bucket or a volume."""
    places = _without_slash(place for key in _MOUNTS for place in sky.get(key) or ())
    return any(to == place or to.startswith(f"{place}/") for place in places)


def _without_slash(places: Iterable[object]) -> list[str]:
    return [str(place).rstrip("/") for place in places]
