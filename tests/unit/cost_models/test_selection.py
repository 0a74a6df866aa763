"""Which offers a job's resources allow, as a table: one row a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.cost_models.selection import asked_zones, reject_reason

MakeOffer = Callable[..., Offer]

# The offer judged: aws/us-east-1/use1-az1, g4dn.xlarge, T4:1, spot at 1.00 USD, 4 vCPUs, 16 GiB.
ALLOWED: list[dict[str, object] | None] = [
    None,
    {},
    {"accelerators": "T4"},
    {"accelerators": "t4:1"},
    {"accelerators": {"T4": 1}},
    {"accelerators": {"V100": 1, "T4": None}},
    {"accelerators": ["V100:1", "T4:1"]},
    {"accelerators": {"V100:1": None, "T4:1": None}},  # YAML's {'V100:1', 'T4:1'}
    {"accelerators": [{"V100": 1}, {"T4": 1}]},
    pytest.param({"accelerators": {"T4:1", "L4:1"}}, id="a set of accelerators"),  # a set prints in any order
    {"use_spot": True},
    {"use_spot": None},
    {"infra": "aws"},
    {"infra": "AWS/us-east-1"},
    {"infra": "aws/us-east-1/use1-az1"},
    {"infra": "*/us-east-1"},
    {"infra": "aws/*/use1-az1"},
    {"cloud": "aws", "region": "us-east-1", "zone": "use1-az1"},
    {"instance_type": "g4dn.xlarge"},
    {"cpus": 4},
    {"cpus": "4+"},
    {"cpus": "2+"},
    {"memory": "16"},
    {"memory": "8+"},
    {"memory": "16GB+"},
    {"max_hourly_cost": 1.0},
    {"disk_size": 256, "ports": 8080, "something_new": True},
    {"any_of": [{"infra": "gcp"}, {"infra": "aws"}]},
    {"accelerators": "T4", "ordered": [{"infra": "gcp"}, {"infra": "aws/us-east-1"}]},
]

REJECTED: list[tuple[dict[str, object], str]] = [
    ({"accelerators": "V100:1"}, "T4:1, not V100:1"),
    ({"accelerators": "T4:4"}, "T4:1, not T4:4"),
    ({"accelerators": {"T4": 2, "L4": 1}}, "T4:1, not T4:2 or L4:1"),
    ({"accelerators": {"T4:2": None, "L4": None}}, "T4:1, not T4:2 or L4:1"),
    ({"accelerators": ["T4:2", "L4"]}, "T4:1, not T4:2 or L4:1"),
    ({"use_spot": False}, "spot, and the job says use_spot: false"),
    ({"infra": "gcp"}, "cloud aws, not gcp"),
    ({"infra": "k8s"}, "cloud aws, not kubernetes"),
    ({"infra": "*/us-west-2"}, "region us-east-1, not us-west-2"),
    ({"zone": "use1-az2"}, "zone use1-az1, not use1-az2"),
    (
        {"infra": "aws/us-east-1/us-east-1a"},
        "zone use1-az1, not us-east-1a; AWS prices name zones by zone id, so ask for the region",
    ),
    ({"instance_type": "g5.xlarge"}, "instance type g4dn.xlarge, not g5.xlarge"),
    ({"cpus": 8}, "4 vCPUs, not 8"),
    ({"cpus": "8+"}, "4 vCPUs, not 8+"),
    ({"cpus": "2"}, "4 vCPUs, not 2"),
    ({"memory": "32+"}, "16 GiB memory, not 32+"),
    ({"max_hourly_cost": 0.5}, "1.00 USD an hour, above max_hourly_cost 0.5"),
    ({"any_of": [{"infra": "gcp"}, {"cpus": "8+"}]}, "cloud aws, not gcp and 4 vCPUs, not 8+"),
    ({"accelerators": "V100", "any_of": [{"infra": "aws"}]}, "T4:1, not V100:1"),
]


@pytest.mark.parametrize("resources", ALLOWED, ids=str)
def test_allowed(make_offer: MakeOffer, resources: dict[str, object] | None) -> None:
    assert reject_reason(make_offer(), resources) is None


EKS = "arn:aws:eks:us-east-1:123456789012:cluster/gpus"


@pytest.mark.parametrize(
    ("cloud", "region", "resources", "zones"),
    [
        ("gcp", "us-central1", {"infra": "gcp/us-central1/us-central1-a"}, ["us-central1-a"]),
        ("gcp", "us-central1", {"infra": "gcp/*/us-central1-a"}, ["us-central1-a"]),
        ("gcp", "us-central1", {"cloud": "gcp", "zone": "us-central1-a"}, ["us-central1-a"]),
        ("gcp", "us-central1", {"zone": "US-Central1-A"}, ["US-Central1-A"]),
        ("aws", "us-east-1", {"infra": "aws/us-east-1/us-east-1a"}, ["us-east-1a"]),
        ("aws", "us-east-1", {"zone": "use1-az6"}, ["use1-az6"]),
        ("aws", "ap-northeast-1", {"zone": "apne1-az4"}, ["apne1-az4"]),
        ("aws", "us-gov-west-1", {"zone": "usgw1-az1"}, ["usgw1-az1"]),
        ("aws", "us-west-2", {"zone": "us-west-2-lax-1a"}, ["us-west-2-lax-1a"]),
        ("oci", "us-sanjose-1", {"zone": "bxtG:US-SANJOSE-1-AD-1"}, ["bxtG:US-SANJOSE-1-AD-1"]),
        (
            "gcp",
            "r1",
            {"infra": "gcp", "any_of": [{"zone": "r1-b"}, {"zone": "r2-a"}, {"zone": "r1-a"}]},
            ["r1-b", "r1-a"],
        ),
        ("gcp", "r1", {"infra": "gcp", "any_of": [{"zone": "r1-b"}, {"region": "r1"}]}, []),
        ("gcp", "r1", {"infra": "gcp/r1"}, []),
        ("kubernetes", EKS, {"infra": f"k8s/{EKS}"}, []),
        ("kubernetes", EKS, {"infra": f"Kubernetes/{EKS}"}, []),
        ("kubernetes", EKS, {"cloud": "kubernetes", "region": EKS}, []),
        ("kubernetes", EKS, {"infra": "kubernetes/*"}, []),
    ],
)
def test_a_zone_of_an_offers_region_is_kept_to_and_a_context_is_one_name(
    make_offer: MakeOffer, cloud: str, region: str, resources: dict[str, object], zones: list[str]
) -> None:
    """Catalogs price regions, so that a zone is never an offer's own."""
    offer = replace(make_offer(), pool=Pool(cloud, region, "", "m"))
    assert reject_reason(offer, resources) is None
    assert asked_zones(offer, resources) == zones


@pytest.mark.parametrize(
    ("cloud", "region", "resources", "reason"),
    [
        ("gcp", "us-central1", {"zone": "us-east4-a"}, "zone none, not us-east4-a"),
        ("aws", "us-east-1", {"zone": "use2-az1"}, "zone none, not use2-az1"),
        ("aws", "us-east-1", {"infra": "aws/us-east-2/us-east-1a"}, "region us-east-1, not us-east-2"),
        ("azure", "eastus", {"zone": "eastus-1"}, "zone none, not eastus-1"),  # SkyPilot knows no zones there
        ("kubernetes", EKS, {"infra": "k8s/arn:aws:eks"}, f"region {EKS}, not arn:aws:eks"),
    ],
)
def test_a_zone_elsewhere_is_not_had(
    make_offer: MakeOffer, cloud: str, region: str, resources: dict[str, object], reason: str
) -> None:
    assert reject_reason(replace(make_offer(), pool=Pool(cloud, region, "", "m")), resources) == reason


@pytest.mark.parametrize(("resources", "reason"), REJECTED, ids=str)
def test_rejected_with_its_reason(make_offer: MakeOffer, resources: dict[str, object], reason: str) -> None:
    assert reject_reason(make_offer(), resources) == reason


def test_a_machine_without_accelerators_says_so(make_offer: MakeOffer) -> None:
    assert reject_reason(make_offer(accelerators=""), {"accelerators": "T4"}) == "no accelerators, not T4:1"


def test_on_demand_is_allowed_whatever_use_spot_says(make_offer: MakeOffer) -> None:
    offer = make_offer(market=Market.ON_DEMAND)
    assert [reject_reason(offer, {"use_spot": spot}) for spot in (True, False, None)] == [None, None, None]


def test_a_cloud_is_kept_to_and_without_resources_all_fit(make_offer: MakeOffer) -> None:
    offers = [make_offer("gcp/r/z"), make_offer("aws/r/a"), make_offer("azure/r/"), make_offer("aws/r/b")]
    assert [o for o in offers if reject_reason(o, {"infra": "aws"}) is None] == [offers[1], offers[3]]
    assert all(reject_reason(o, None) is None for o in offers)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": "many"}, "resources.cpus: found 'many'"),
        ({"memory": "-1"}, "resources.memory"),
        ({"accelerators": "T4:x"}, "resources.accelerators"),
        ({"accelerators": {"T4": 0}}, "above 0"),
        ({"accelerators": {"T4:1": 2}}, "found {'T4:1': 2}"),
        ({"accelerators": {"T4:x": None}}, "found 'T4:x'"),
        ({"accelerators": 4}, "found 4; allowed: a name with a number above 0, such as T4"),
        ({"max_hourly_cost": "cheap"}, "resources.max_hourly_cost"),
        ({"any_of": ["aws"]}, "lists of mappings"),
    ],
)
def test_values_that_mean_nothing_are_told(make_offer: MakeOffer, resources: dict[str, object], message: str) -> None:
    with pytest.raises(CostModelError, match=message):
        reject_reason(make_offer(), resources)
