"""How far an offer is from what a job asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spotwise.cost_models.nearness import distance, nearest_accelerator
from spotwise.cost_models.offer import Market, Offer

MakeOffer = Callable[..., Offer]


def test_an_offer_that_fits_is_at_no_distance(make_offer: MakeOffer) -> None:
    asked = {"infra": "aws", "accelerators": "T4:1", "cpus": "2+", "any_of": [{"region": "us-east-1"}]}
    assert distance(make_offer(), asked) == 0
    assert distance(make_offer(), None) == 0


# The offer: aws/us-east-1/use1-az1, g4dn.xlarge, T4:1, spot at 1.00 USD, 4 vCPUs, 16 GiB.
@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        ({"infra": "aws/us-east-1/use1-az2"}, {"infra": "aws/us-west-2"}),
        ({"infra": "aws/us-west-2"}, {"infra": "gcp"}),
        ({"infra": "aws/us-west-2/z"}, {"infra": "gcp/us-west-2/z"}),
        ({"accelerators": "T4:4"}, {"accelerators": "V100:1"}),
        ({"cpus": 8}, {"accelerators": "T4:4"}),
        ({"cpus": 8}, {"cpus": 8, "memory": 32}),
        ({"max_hourly_cost": 0.5}, {"use_spot": False}),
        ({"any_of": [{"infra": "gcp"}, {"cpus": 8}]}, {"infra": "gcp"}),
    ],
)
def test_the_less_would_have_to_change_the_nearer_it_is(
    make_offer: MakeOffer, nearer: dict[str, object], farther: dict[str, object]
) -> None:
    offer = make_offer(market=Market.SPOT)
    assert 0 < distance(offer, nearer) < distance(offer, farther)


@pytest.mark.parametrize(
    ("name", "offered", "nearest"),
    [
        ("T400", ["T4", "V100"], "T4"),
        ("A100-80", ["A100", "A100-80GB"], "A100-80GB"),
        ("H10", ["T4"], "H100"),
        ("zzz", ["T4"], None),
    ],
)
def test_the_nearest_accelerator_is_one_that_is_offered_or_known(
    name: str, offered: list[str], nearest: str | None
) -> None:
    assert nearest_accelerator(name, offered) == nearest
