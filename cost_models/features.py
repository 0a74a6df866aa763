"""What a job needs of a place beyond a machine, in SkyPilot's words for it: not every cloud has all of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .offer import Offer

MULTI_NODE = "multi-node"
STORAGE_MOUNTING = "storage_mounting"
AUTODOWN = "autodown"

_OF_AN_IMAGE = {"ami-": "aws", "projects/": "gcp"}  # how names of images begin that only one cloud has
_BEST = "best"  # of disks: whatever there is; of networks: more than some clouds have
_CALLED = {
    MULTI_NODE: "several nodes",
    STORAGE_MOUNTING: "mounted buckets",
    AUTODOWN: "machines that end themselves",
    "custom_disk_tier": "a choice of disk_tier",
    "custom_network_tier": "network_tier: best",
    "local_disk": "local_disk",
    "docker_image": "Docker images as image_id",
    "image_id": "a choice of image_id",
    "open_ports": "open ports",
}


def needed_by(resources: Mapping[str, Any], offer: Offer) -> Iterator[str]:
    """Features that one choice of ``resources`` asks for there."""
    if resources.get("disk_tier") and _word(resources["disk_tier"]) != _BEST:
        yield "custom_disk_tier"
    if _word(resources.get("network_tier")) == _BEST:
        yield "custom_network_tier"
    if resources.get("local_disk"):
        yield "local_disk"
    if resources.get("ports"):
        yield "open_ports"
    image = _image(resources.get("image_id"), offer)
    if image:
        yield "docker_image" if image.startswith("docker:") else "image_id"


def feature_reason(offer: Offer, needed: Iterator[str]) -> str | None:
    """Which of the features that are needed is not to be had there; None: none is known to be missing."""
    missing = next((feature for feature in needed if feature in offer.unsupported), None)
    return None if missing is None else f"{offer.pool.cloud} does not have {_CALLED.get(missing, missing)}"


def image_reason(offer: Offer, image_id: object) -> str | None:
    """Why an image is none of this place: it is named for other regions, or is another cloud's."""
    if image_id and isinstance(image_id, Mapping) and _image(image_id, offer) is None:
        return f"image_id names no image for {offer.pool.region or offer.pool.cloud}"
    image = _image(image_id, offer) or ""
    cloud = next((cloud for start, cloud in _OF_AN_IMAGE.items() if image.startswith(start)), offer.pool.cloud)
    return None if cloud == offer.pool.cloud else f"image_id {image} is one of {cloud}"


def _image(image_id: object, offer: Offer) -> str | None:
    """``image_id`` there: one name for everywhere, or one a region."""
    if not isinstance(image_id, Mapping):
        return str(image_id) if image_id else None
    named = {"" if region is None else str(region).lower(): image for region, image in image_id.items()}
    found = named.get(offer.pool.region.lower(), named.get(""))
    return str(found) if found else None


def _word(value: object) -> str:
    return str(value or "").strip().lower()
