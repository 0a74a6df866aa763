"""What can be bought through SkyPilot: the settings' pools, its clouds' catalogs, and the file that keeps those."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import T0
from sky_tasks import POOLS

from spotwise.cost_models.offer import Market, Offer
from spotwise.cost_models.sources.skypilot_catalog import CatalogRow, catalog_offers
from spotwise.scheduler.engines.skypilot.offers import FRESH, TRY_AGAIN, OfferBook, pool_offers
from spotwise.scheduler.engines.skypilot.sky import SkyUnreachableError
from spotwise.scheduler.jobfile.settings import SkyPilotSettings, SkyPool

ROW = CatalogRow("aws", "us-east-1", "g4dn.xlarge", "T4", 1, 4.0, 16.0, 0.526, 0.1578)
CHEAPER = replace(ROW, spot_usd_per_hour=0.1)
ON_GCP = replace(ROW, cloud="gcp", region="us-central1", instance_type="n1-standard-8")


def pool(infra: str, market: str, price: str, accelerators: str | None = "V100:1", **keys: Any) -> SkyPool:
    return SkyPool.model_validate(
        {"infra": infra, "market": market, "price_usd_per_hour": price, "accelerators": accelerators, **keys}
    )


def prices(offers: Iterable[Offer]) -> dict[str, str]:
    return {offer.key: str(offer.price_usd_per_hour) for offer in offers}


def savings_against(*pools: SkyPool) -> list[str | None]:
    found = [offer.on_demand_usd_per_hour for offer in pool_offers(pools)]
    return [None if price is None else str(price) for price in found]


# pools of the settings


def test_a_pool_is_an_offer_with_its_price() -> None:
    (offer,) = pool_offers([pool("slurm/hpc/spot", "spot", "0.90", "V100:2", cpus=8, memory=64)])
    assert offer.key == "slurm/hpc/spot/V100:2/spot"
    assert (offer.accelerator, offer.accelerator_count) == ("V100", 2)
    assert (offer.vcpus, offer.memory_gib) == (8.0, 64.0)
    assert (offer.price_usd_per_hour, offer.source) == (Decimal("0.90"), "price from the settings")


@pytest.mark.parametrize(("text", "expected"), [("V100", ("V100", 1)), ("V100:4", ("V100", 4)), (None, (None, 0))])
def test_accelerators_are_counted_one_where_nothing_is_said(text: str | None, expected: tuple[str | None, int]) -> None:
    (offer,) = pool_offers([pool("slurm/hpc/spot", "spot", "1", text)])
    assert (offer.accelerator, offer.accelerator_count) == expected


def test_pools_of_one_place_have_keys_of_their_own() -> None:
    pools = [*POOLS, pool("slurm/hpc/spot", "on_demand", "3"), pool("slurm/hpc/od", "on_demand", "3")]
    assert len({offer.key for offer in pool_offers(pools)}) == len(pools)


def test_savings_are_counted_against_the_same_machine_on_demand() -> None:
    spot = pool("slurm/hpc/spot", "spot", "0.9")
    here, dearer, there = (
        pool(f"slurm/{place}", "on_demand", p) for place, p in (("hpc/a", "3"), ("hpc/b", "4"), ("x/a", "2"))
    )
    other = pool("slurm/hpc/od", "on_demand", "1", "T4:1")
    assert savings_against(spot, here, dearer, there, other) == ["3", "3", "4", "2", "1"]
    assert savings_against(spot, there, other) == ["2", "2", "1"], "elsewhere, where this place has none"
    assert savings_against(spot, other) == [None, "1"]


def test_one_accelerator_is_the_same_machine_however_it_is_written() -> None:
    assert (
        savings_against(pool("slurm/hpc/a", "spot", "1", "V100"), pool("slurm/hpc/b", "on_demand", "3", "V100:1"))[0]
        == "3"
    )


def test_machines_without_accelerators_are_the_same_where_their_size_is() -> None:
    spot = pool("slurm/hpc/a", "spot", "0.1", None, cpus=4)
    large, small = (pool("slurm/hpc/b", "on_demand", price, None, cpus=n) for price, n in (("9", 64), ("0.3", 4)))
    assert savings_against(spot, large, small) == ["0.3", "9", "0.3"]


# catalogs


def offers_of(*rows: CatalogRow) -> list[Offer]:
    return catalog_offers(rows, T0)


def test_a_row_is_a_spot_and_an_on_demand_offer() -> None:
    assert prices(offers_of(ROW)) == {
        "aws/us-east-1/g4dn.xlarge/spot": "0.1578",
        "aws/us-east-1/g4dn.xlarge/on_demand": "0.526",
    }
    assert {offer.on_demand_usd_per_hour for offer in offers_of(ROW)} == {Decimal("0.526")}
    assert offers_of(ROW)[0].source == "SkyPilot's catalog, read 2026-03-01 12:00 UTC"


@pytest.mark.parametrize(
    ("price", "meant"),
    [
        (3.7800000000000002, "3.78"),  # GCP's: a machine's and its GPU's, added as floats
        (0.1 + 0.2, "0.3"),
        (1.0049999999999999, "1.005"),
        (32.7726, "32.7726"),
        (0.00001234, "0.00001234"),
        (100.0, "100"),
        (4e-9, None),
        (math.nan, None),
        (math.inf, None),
        (-1.0, None),
    ],
)
def test_a_price_is_the_decimal_that_was_meant(price: float, meant: str | None) -> None:
    found = {o.market: str(o.price_usd_per_hour) for o in offers_of(replace(ROW, spot_usd_per_hour=price))}
    assert found.get(Market.SPOT) == meant


@pytest.mark.parametrize(
    ("change", "markets"),
    [
        ({"spot_usd_per_hour": None}, ["on_demand"]),
        ({"on_demand_usd_per_hour": None}, ["spot"]),
        ({"spot_usd_per_hour": 0.0}, ["on_demand"]),  # Kubernetes lists what it has as free
        ({"spot_usd_per_hour": None, "on_demand_usd_per_hour": None}, []),
        ({"instance_type": ""}, []),  # an accelerator without a machine has no price of a machine
        ({"accelerator_count": 0}, []),  # Azure sells sixths of an A10, which nobody can ask for
    ],
)
def test_what_cannot_be_priced_or_asked_for_is_no_offer(change: dict[str, Any], markets: list[str]) -> None:
    assert [offer.market.value for offer in offers_of(replace(ROW, **change))] == markets


def test_without_an_on_demand_price_there_are_no_savings() -> None:
    assert offers_of(replace(ROW, on_demand_usd_per_hour=None))[0].on_demand_usd_per_hour is None


@pytest.mark.parametrize("rows", [(ROW, CHEAPER), (CHEAPER, ROW)])
def test_of_an_instance_that_is_listed_twice_the_cheaper_counts(rows: tuple[CatalogRow, ...]) -> None:
    assert prices(offers_of(*rows))["aws/us-east-1/g4dn.xlarge/spot"] == "0.1"
    assert len(offers_of(*rows)) == 2


def test_savings_are_counted_against_the_on_demand_offer_that_the_catalog_has() -> None:
    """The cheapest spot price may stand in one row, and the cheapest on-demand price in another."""
    dear, spotless = replace(CHEAPER, on_demand_usd_per_hour=9.0), replace(ROW, spot_usd_per_hour=None)
    assert {offer.on_demand_usd_per_hour for offer in offers_of(dear, spotless)} == {Decimal("0.526")}


def test_machines_that_gcp_attaches_gpus_to_are_offers_of_their_own() -> None:
    """One n1 is listed with a T4 and with a V100: without the accelerator in its key the dearer would be lost."""
    found = offers_of(ON_GCP, replace(ON_GCP, accelerator="V100", spot_usd_per_hour=0.8))
    spot = [(offer.key, offer.accelerator) for offer in found if offer.is_spot]
    assert spot == [
        ("gcp/us-central1/n1-standard-8+T4:1/spot", "T4"),
        ("gcp/us-central1/n1-standard-8+V100:1/spot", "V100"),
    ]


def test_machines_that_bring_their_gpus_have_keys_without_them() -> None:
    (spot, _) = offers_of(replace(ON_GCP, instance_type="a2-highgpu-1g", accelerator="A100"))
    assert spot.key == "gcp/us-central1/a2-highgpu-1g/spot"


@pytest.mark.parametrize(("price", "text"), [(0.1, "0.1"), (0.15779999, "0.15779999"), (3, "3"), (1e-05, "0.00001")])
def test_prices_are_the_decimals_of_the_catalogs_file(price: float, text: str) -> None:
    (spot, _) = offers_of(replace(ROW, spot_usd_per_hour=price))
    assert f"{spot.price_usd_per_hour:f}" == text


# the book


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = T0

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a book never sleeps")


class Catalog:
    """SkyPilot's catalogs: what they say, and how often they were read."""

    def __init__(self, *rows: CatalogRow) -> None:
        self.rows, self.reads, self.is_away = list(rows), 0, False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> list[CatalogRow]:
        self.reads += 1
        self.may_answer.wait(30)
        if self.is_away:
            raise SkyUnreachableError("the API server does not answer")
        return self.rows


class Desk:
    """Everything that books share: a clock, SkyPilot and a file."""

    def __init__(self, folder: Path) -> None:
        self.path, self.clock, self.sky = folder / "skypilot" / "catalog.json", Clock(), Catalog(ROW)

    def book(self, **keys: Any) -> OfferBook:
        """As a new process makes it."""
        return OfferBook(SkyPilotSettings(**keys), self.sky, self.path, self.clock)

    def later(self, time: timedelta) -> None:
        self.clock.time += time

    def settle(self) -> None:
        """Wait for what is read in the background."""
        for thread in threading.enumerate():
            if thread.name == "skypilot-catalogs":
                thread.join(30)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.sky.may_answer.set()
    desk.settle()


def spot_price(offers: list[Offer]) -> str:
    return next(str(offer.price_usd_per_hour) for offer in offers if offer.market is Market.SPOT)


def test_the_first_time_skypilot_is_waited_for(desk: Desk) -> None:
    book = desk.book()
    assert spot_price(book.offers()) == "0.1578"
    assert spot_price(book.offers()) == "0.1578"
    assert desk.sky.reads == 1


def test_a_fresh_file_is_enough_for_the_next_process(desk: Desk) -> None:
    first = desk.book().offers()
    desk.later(FRESH)
    desk.sky.is_away = True
    assert desk.book().offers() == first
    assert desk.sky.reads == 1


@pytest.mark.parametrize("same_process", [True, False])
def test_what_is_old_is_still_offered_while_it_is_read_anew(desk: Desk, same_process: bool) -> None:
    book = desk.book()
    book.offers()
    desk.later(FRESH + timedelta(seconds=1))
    desk.sky.rows = [CHEAPER]
    desk.sky.may_answer.clear()
    book = book if same_process else desk.book()
    assert [spot_price(book.offers()) for _ in range(3)] == ["0.1578"] * 3
    desk.sky.may_answer.set()
    desk.settle()
    assert spot_price(book.offers()) == "0.1"
    assert desk.sky.reads == 2, "once, though it was asked three times"
    assert spot_price(desk.book().offers()) == "0.1", "the file has it too"


def test_without_skypilot_what_is_old_will_do_and_says_how_old_it_is(desk: Desk) -> None:
    book = desk.book()
    source = book.offers()[0].source
    desk.sky.is_away = True
    desk.later(timedelta(hours=5))
    for _ in range(3):
        assert book.offers()[0].source == source
        desk.settle()
    assert desk.sky.reads == 2, "it is not asked again at once"
    desk.later(TRY_AGAIN)
    desk.sky.is_away, desk.sky.rows = False, [CHEAPER]
    book.offers()
    desk.settle()
    assert spot_price(book.offers()) == "0.1"


def test_without_skypilot_and_with_nothing_old_there_are_no_offers_but_a_reason(desk: Desk) -> None:
    desk.sky.is_away = True
    with pytest.raises(SkyUnreachableError, match="does not answer"):
        desk.book().offers()
    assert not desk.path.exists()


def as_kept(row: CatalogRow) -> dict[str, Any]:
    return {**asdict(row), "unsupported": list(row.unsupported)}


KEPT = {"read_at": T0.isoformat(), "clouds": None, "rows": [asdict(ROW)]}
DAMAGED = [
    "",
    "{",
    "null",
    "[]",
    json.dumps({**KEPT, "rows": 3}),
    json.dumps({**KEPT, "rows": [3]}),
    json.dumps({**KEPT, "rows": [{"cloud": "aws"}]}),
    json.dumps({**KEPT, "rows": [{**asdict(ROW), "spot_usd_per_hour": "cheap"}]}),
    json.dumps({**KEPT, "rows": [{**asdict(ROW), "added_later": 1}]}),
    json.dumps({**KEPT, "rows": [{**asdict(ROW), "unsupported": 3}]}),
    json.dumps({**KEPT, "read_at": "yesterday"}),
    json.dumps({**KEPT, "read_at": 3}),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_read_anew(desk: Desk, text: str) -> None:
    desk.path.parent.mkdir()
    desk.path.write_text(text)
    desk.sky.rows = [CHEAPER]
    assert spot_price(desk.book().offers()) == "0.1"
    assert json.loads(desk.path.read_text())["rows"] == [as_kept(CHEAPER)]


def test_a_file_from_the_future_is_read_anew(desk: Desk) -> None:
    """A clock was set back; else nothing would be read until it has caught up."""
    desk.later(timedelta(days=1))
    desk.book().offers()
    desk.later(-timedelta(days=1))
    desk.book().offers()
    desk.settle()
    assert desk.sky.reads == 2


def test_a_file_of_other_clouds_is_not_of_ours(desk: Desk) -> None:
    desk.book(clouds=["aws"]).offers()
    desk.sky.rows = [ON_GCP]
    assert {offer.pool.cloud for offer in desk.book(clouds=["gcp"]).offers()} == {"gcp"}
    assert desk.sky.reads == 2


def test_a_file_that_cannot_be_written_costs_a_read_and_no_offers(desk: Desk) -> None:
    desk.path.parent.parent.joinpath("skypilot").write_text("in the way")
    assert len(desk.book().offers()) == 2


def test_processes_that_read_at_once_do_not_spoil_each_others_file(desk: Desk) -> None:
    desk.sky.may_answer.clear()
    both = [threading.Thread(target=desk.book().offers) for _ in range(8)]
    for thread in both:
        thread.start()
    desk.sky.may_answer.set()
    for thread in both:
        thread.join(30)
    assert [path.name for path in desk.path.parent.iterdir()] == ["catalog.json"]
    assert json.loads(desk.path.read_text())["rows"] == [as_kept(ROW)]


@pytest.mark.parametrize(
    ("keys", "clouds"),
    [
        ({}, {"aws"}),
        ({"clouds": ["aws"]}, {"aws"}),
        ({"pools": POOLS}, {"slurm", "kubernetes"}),  # who names pools and no cloud means nothing else
        ({"pools": POOLS, "clouds": []}, {"slurm", "kubernetes"}),
        ({"pools": POOLS, "clouds": ["aws"]}, {"slurm", "kubernetes", "aws"}),
    ],
)
def test_which_offers_the_settings_ask_for(desk: Desk, keys: dict[str, Any], clouds: set[str]) -> None:
    assert {offer.pool.cloud for offer in desk.book(**keys).offers()} == clouds
    assert desk.sky.reads == ("aws" in clouds)
