# ruff: noqa: E501
"""A team's own price file: what it says, and every slip with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from spotwise.cost_models.offer import Market
from spotwise.cost_models.team_prices import Agreement, TeamPrice
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.price_file import load_team_prices

WHOLE = """\
prices:
  - cloud: aws
    instance_type: g5.xlarge
    region: us-east-1
    market: spot
    price_usd_per_hour: 0.35 USD
    name: frame agreement
  - {cloud: gcp, family: a2, agreement: committed_use, discount: 37.5%, from: 2026-01-01, to: 2026-12-31}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_arrives(tmp_path: Path) -> None:
    spot, committed = load_team_prices(write(tmp_path, WHOLE))
    assert spot == TeamPrice(
        "aws",
        Agreement.NEGOTIATED,
        Market.SPOT,
        usd_per_hour=Decimal("0.35"),
        instance_type="g5.xlarge",
        region="us-east-1",
        name="frame agreement",
        where="prices.yaml:2",
    )
    assert committed == TeamPrice(
        "gcp",
        Agreement.COMMITTED_USE,
        discount=Decimal("0.375"),
        family="a2",
        start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2027, 1, 1, tzinfo=UTC),  # all of its last day
        where="prices.yaml:8",
    )


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("price_usd_per_hour: 0", "price_usd_per_hour: found 0; allowed: more than 0 USD an hour: what is paid is never nothing"),
        ("price_usd_per_hour: -1", "price_usd_per_hour: found -1; allowed: an amount in US dollars such as 40 USD, $40 or 40, not below 0"),
        ("price_usd_per_hour: 3 EUR", "price_usd_per_hour: found '3 EUR', which is not in USD; allowed: an amount in US dollars such as 40 USD, $40 or 40"),
        ("price_usd_per_hour: .nan", "price_usd_per_hour: found nan; allowed: an amount in US dollars such as 40 USD, $40 or 40"),
        ("price_usd_per_hour: .inf", "price_usd_per_hour: found inf; allowed: an amount in US dollars such as 40 USD, $40 or 40"),
        ("price_usd_per_hour: 1, discount: 5%", "price_usd_per_hour: found price_usd_per_hour and discount; allowed: one of price_usd_per_hour and discount"),
        ("region: x", "price_usd_per_hour: missing; required: one of price_usd_per_hour and discount"),
        ("discount: 100%", "discount: found '100%'; allowed: a share of the list price such as 28%, above 0% and below 100%"),
        ("discount: 0%", "discount: found '0%'; allowed: a share of the list price such as 28%, above 0% and below 100%"),
        ("discount: 0.28", "discount: found 0.28; allowed: a share of the list price such as 28%, above 0% and below 100%"),
        ("discount: -5%", "discount: found '-5%'; allowed: a share of the list price such as 28%, above 0% and below 100%"),
        ("price_usd_per_hour: 1, from: 2026-02-30", "from: found '2026-02-30'; allowed: a day such as 2026-01-31 (UTC), 2000 to 2199"),
        ("price_usd_per_hour: 1, to: 9999-12-31", "to: found '9999-12-31'; allowed: a day such as 2026-01-31 (UTC), 2000 to 2199"),
        ("price_usd_per_hour: 1, from: 2026-02-02, to: 2026-02-01", "to: found 2026-02-01, before from; allowed: 2026-02-02 or later"),
        ("price_usd_per_hour: 1, market: reserved", "market: found 'reserved'; allowed: spot, on_demand"),
        ("price_usd_per_hour: 1, agreement: savings plan", "agreement: found 'savings plan'; allowed: negotiated, reservation, savings_plan, committed_use; did you mean savings_plan"),
        ("price_usd_per_hour: 1, family: g5", "family: found instance_type and family; allowed: one of them"),
        ("price_usd_per_hour: 1, accelerators: T4:1", "accelerators: found 'T4:1'; allowed: leave it out: the instance type says which it has"),
        ("price: 1, discount: 5%", "price: unknown key; allowed: cloud, instance_type, family, region, accelerators, market, agreement, price_usd_per_hour, discount, from, to, name"),
    ],
)  # fmt: skip
def test_a_slip_is_said_with_its_line(tmp_path: Path, keys: str, fault: str) -> None:
    path = write(tmp_path, f"prices:\n  - {{cloud: aws, instance_type: g5.xlarge, {keys}}}\n")
    with pytest.raises(JobFileError) as caught:
        load_team_prices(path)
    assert caught.value.faults == [f"{path}:2: prices[0].{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "1: prices: missing; required: the team's own prices, one or more"),
        ("prices: []\n", "1: prices: found an empty list; allowed: one price or more"),
        ("prices: 3\n", "1: prices: found 3; allowed: a list"),
        ("prices:\n  - {cloud: AWS, discount: 5%}\n", "2: prices[0].cloud: found 'AWS'; allowed: a cloud as offers name it; did you mean aws"),
        ("prices:\n  - {cloud: aws, price_usd_per_hour: 1}\n", "2: prices[0].instance_type: missing; required: the type that costs so much, or give a discount"),
        ("prices:\n  - {cloud: gcp, instance_type: n1-standard-4, price_usd_per_hour: 1}\n", "2: prices[0].accelerators: missing; required: n1-standard-4 is sold with several"),
        ("prices:\n  - {cloud: aws, discount: 5%}\n  - {cloud: aws, discount: 6%, from: 2026-01-01}\n", "3: prices[1]: found the same machines and days as prices[0] on line 2; allowed: one price a day"),
    ],
)  # fmt: skip
def test_a_file_that_could_mean_two_things_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(JobFileError) as caught:
        load_team_prices(path)
    assert caught.value.faults == [f"{path}:{fault}"]


def test_prices_that_follow_each_other_are_none_twice(tmp_path: Path) -> None:
    text = "prices:\n  - {cloud: aws, discount: 5%, to: 2026-01-31}\n  - {cloud: aws, discount: 6%, from: 2026-02-01}\n"
    assert len(load_team_prices(write(tmp_path, text))) == 2
