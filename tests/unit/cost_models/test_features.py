"""What a job needs of a place beyond a machine, and which places are known not to have it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import offer

from spotwise.cost_models.features import MULTI_NODE
from spotwise.cost_models.offer import Pool
from spotwise.cost_models.selection import reject_reason

BARE = frozenset({"custom_disk_tier", "custom_network_tier", "local_disk", "docker_image", "image_id", "open_ports"})
_BOTH = "aws does not have a choice of disk_tier and aws does not have open ports"
HERE = offer(pool=Pool("aws", "us-east-1", "", "m"))


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"disk_tier": "high"}, "aws does not have a choice of disk_tier"),
        ({"network_tier": "best"}, "aws does not have network_tier: best"),
        ({"local_disk": "nvme:1000+"}, "aws does not have local_disk"),
        ({"image_id": "docker:ubuntu:22.04"}, "aws does not have Docker images as image_id"),
        ({"image_id": {"us-east-1": "docker:ubuntu"}}, "aws does not have Docker images as image_id"),
        ({"image_id": "ami-0123"}, "aws does not have a choice of image_id"),
        ({"ports": 8080}, "aws does not have open ports"),
        (
            {"any_of": [{"disk_tier": "ultra"}, {"ports": [1]}]},
            _BOTH,
        ),
        ({"any_of": [{"disk_tier": "ultra"}, {}]}, None),
        ({"disk_tier": "best"}, None),
        ({"disk_tier": None, "network_tier": "standard", "image_id": None, "ports": None}, None),
    ],
)
def test_places_that_lack_what_the_job_asks_for_are_left_out(resources: dict[str, object], reason: str | None) -> None:
    assert reject_reason(replace(HERE, unsupported=BARE), resources) == reason
    assert reject_reason(HERE, resources) is None, "nothing is known against it"


def test_several_nodes_are_not_had_where_skypilot_cannot_join_them() -> None:
    runpod = offer(pool=Pool("runpod", "US", "", "1x_A100"), unsupported=frozenset({MULTI_NODE}))
    assert reject_reason(runpod, {}, [MULTI_NODE]) == "runpod does not have several nodes"
    assert reject_reason(runpod, {}) is None


@pytest.mark.parametrize(
    ("image_id", "reason"),
    [
        ({"us-west-2": "ami-1"}, "image_id names no image for us-east-1"),
        ({"us-west-2": "ami-1", "us-east-1": "ami-2"}, None),
        ({"US-EAST-1": "ami-2"}, None),
        ({"us-west-2": "ami-1", None: "ami-3"}, None),
        ("projects/p/global/images/i", "image_id projects/p/global/images/i is one of gcp"),
        ({"us-east-1": "projects/p/global/images/i"}, "image_id projects/p/global/images/i is one of gcp"),
        ("ami-0123", None),
        ("skypilot:gpu-ubuntu-2004", None),
        ("docker:ubuntu", None),
    ],
)
def test_an_image_is_one_of_its_regions_and_of_its_cloud(image_id: object, reason: str | None) -> None:
    assert reject_reason(HERE, {"image_id": image_id}) == reason
