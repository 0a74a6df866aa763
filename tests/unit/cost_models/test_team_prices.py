"""A team's own prices: which one is meant, when, and what is paid."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from factories import T0, at

from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources.base import Machine, SourceQuery
from spotwise.cost_models.sources.sheet import load_sheet
from spotwise.cost_models.sources.team import TeamPriceSource
from spotwise.cost_models.team_prices import Agreement, TeamPrice, family_of, team_price

POOL = Pool("aws", "us-east-1", "use1-az1", "g5.xlarge")
N1 = Pool("gcp", "us-central1", "us-central1-a", "n1-standard-4", "T4:1")


def price(usd: str | None = "0.70", **more: Any) -> TeamPrice:
    values: dict[str, Any] = {"cloud": "aws", "agreement": Agreement.NEGOTIATED, "where": "prices.yaml:3"}
    return TeamPrice(usd_per_hour=None if usd is None else Decimal(usd), **{**values, **more})


def test_the_narrowest_price_is_meant() -> None:
    cloud, region = price("1"), price("2", region="us-east-1")
    family, machine = price("3", family="g5"), price("4", instance_type="g5.xlarge")
    here = price("5", instance_type="g5.xlarge", region="us-east-1")
    given = [here, cloud, machine, region, family]
    for narrowest in (here, machine, family, region, cloud):
        assert team_price(given, POOL, Market.ON_DEMAND, T0) is narrowest
        given.remove(narrowest)
    assert team_price(given, POOL, Market.ON_DEMAND, T0) is None


@pytest.mark.parametrize(
    "other",
    [
        {"cloud": "gcp"},
        {"region": "eu-west-1"},
        {"family": "g4dn"},
        {"instance_type": "g5.2xlarge"},
        {"market": Market.SPOT},
        {"accelerators": "T4:1"},
    ],
)
def test_a_price_of_something_else_is_not_used(other: dict[str, Any]) -> None:
    assert team_price([price(**other)], POOL, Market.ON_DEMAND, T0) is None


def test_a_price_holds_from_its_first_moment_until_before_its_end() -> None:
    held = price(start=at(1), end=at(2))
    used = [team_price([held], POOL, Market.ON_DEMAND, at(hours)) is held for hours in (0.99, 1, 1.99, 2)]
    assert used == [False, True, True, False]


def test_an_accelerators_price_is_that_of_this_accelerator_only() -> None:
    t4 = price(cloud="gcp", instance_type="n1-standard-4", accelerators="T4:1")
    v100 = price(cloud="gcp", instance_type="n1-standard-4", accelerators="V100:1")
    assert team_price([v100, t4], N1, Market.ON_DEMAND, T0) is t4


@pytest.mark.parametrize(("list_usd", "paid"), [("1.006", "0.72432"), ("3.7800000000000002", "2.7216"), (None, None)])
def test_a_discount_is_off_the_list_price_and_off_nothing_it_is_nothing(list_usd: str | None, paid: str | None) -> None:
    found = price(None, discount=Decimal("0.28")).usd(None if list_usd is None else Decimal(list_usd))
    assert found == (None if paid is None else Decimal(paid))


@pytest.mark.parametrize(
    ("name", "family"),
    [("g5.xlarge", "g5"), ("a2-highgpu-1g", "a2"), ("Standard_NC24ads_A100_v4", "Standard_NC24ads_A100_v4"), ("", "")],
)
def test_a_family_is_what_stands_before_the_size(name: str, family: str) -> None:
    assert family_of(name) == family


def test_the_price_file_as_a_source_says_what_is_not_in_force() -> None:
    over, ahead = price(end=T0, where="prices.yaml:3"), price(start=T0 + timedelta(days=1), where="prices.yaml:4")
    now_paid = price(None, discount=Decimal("0.5"), family="g5", region="us-east-1", where="prices.yaml:5")
    source = TeamPriceSource([over, ahead, now_paid], load_sheet())
    reading = source.read(SourceQuery((Machine("aws", "g5.xlarge", "A10G", 1),)), T0)
    assert {row.usd_per_hour for row in reading.rows} == {Decimal("0.503")}
    assert {row.pool.region for row in reading.rows} == {"us-east-1"}
    assert reading.skipped == (
        "prices.yaml:3: ended on 2026-03-01 (UTC)",
        "prices.yaml:4: begins on 2026-03-02 (UTC)",
    )
