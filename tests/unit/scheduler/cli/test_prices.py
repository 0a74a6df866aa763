"""`spotwise prices`: what one source says alone, what all together say, and what is shown of it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from factories import offer
from fake_sources import FakeSource
from fake_sources import quote as quoted
from fakes import FakeEngine
from rich.console import Console

from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources import SOURCE_NAMES
from spotwise.cost_models.sources.base import CapacityKind, CapacitySignal, HazardKind, HazardWitness, Quote
from spotwise.cost_models.sources.sheet import READ_AT
from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.prices import PriceQuestion, found_prices
from spotwise.scheduler.cli.prices_view import prices_json, print_prices
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.jobfile.settings import load_settings
from spotwise.scheduler.planning import enabled_sources
from spotwise.scheduler.planning.price_sources import AskedSource
from spotwise.scheduler.store import Store

NOW = READ_AT + timedelta(days=8)  # the shipped sheet is older than what sources say
ZONE = Pool("aws", "us-east-1", "use1-az1", "g4dn.xlarge")
SIGNAL = CapacitySignal(ZONE, CapacityKind.PLACEMENT_SCORE, 7, 1, NOW)
WITNESS = HazardWitness(ZONE, HazardKind.OWN_INTERRUPTIONS, 2, NOW - timedelta(days=7), NOW, 120.5)


def quote(zone: str, usd: str) -> Quote:
    return quoted(zone, usd, NOW)


class RealEngine(FakeEngine):
    cost_basis = CostBasis.ESTIMATED


def app(tmp_path: Path, settings: str, engine: FakeEngine | None = None) -> App:
    (tmp_path / "settings.yaml").write_text(settings)
    env = {"SPOTWISE_HOME": str(tmp_path)}
    found = load_settings(tmp_path / "settings.yaml", env, tmp_path)
    clock = ManualClock(NOW)
    made = engine or RealEngine(clock, offers=[offer("", price="0.20")])
    store = Store.open(found.store_url)
    return App(tmp_path, found, store, clock, {"local": made, "skypilot": made})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """In place of AWS."""
    source = FakeSource(rows=[quote("use1-az1", "0.31"), quote("use1-az2", "0.29"), SIGNAL, WITNESS])
    monkeypatch.setattr(enabled_sources, "_cloud", lambda part: AskedSource(source))
    return source


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["offer"]: row for row in found["offers"]}


def test_one_source_alone_says_what_it_knows_of_each_zone(tmp_path: Path, aws: FakeSource) -> None:
    question = PriceQuestion(accelerators="T4:1", source="aws", regions=("us-east-1",))
    found = prices_json(found_prices(app(tmp_path, "{}"), question))
    row = rows(found)["aws/use1-az1/g4dn.xlarge/spot"]
    assert row["price_usd_per_hour"] == "0.31"
    assert row["accelerators"] == "T4:1"  # as the shipped sheet says of this machine
    assert (row["source"], row["price_at"], row["read_at"]) == ("aws's prices", NOW.isoformat(), NOW.isoformat())
    assert row["capacity"] == {
        "value": 7,
        "kind": "placement_score",
        "source": "aws's prices",
        "at": NOW.isoformat(),
        "size": 1,
        "zone": "use1-az1",
    }
    assert [w["kind"] for w in row["hazard"]["witnesses"]] == ["own_interruptions"]
    assert row["hazard"]["witnesses"][0]["exposure_hours"] == 120.5
    assert 0 <= row["hazard"]["p10"] < row["hazard"]["per_hour"] < row["hazard"]["p90"]
    assert row["disagrees"] == []
    assert rows(found)["aws/use1-az2/g4dn.xlarge/spot"]["capacity"] is None
    assert [s["name"] for s in found["sources"]] == ["aws"]
    (asked,) = aws.asked
    assert asked.regions["aws"] == ("us-east-1",)
    assert "g4dn.xlarge" in {machine.instance_type for machine in asked.machines}
    assert {machine.accelerator for machine in asked.machines} == {"T4"}


def test_a_region_of_no_cloud_is_asked_for_all_the_same(tmp_path: Path, aws: FakeSource) -> None:
    """The source says that there is none."""
    found_prices(app(tmp_path, "{}"), PriceQuestion("T4:1", source="aws", regions=("us-east-9",)))
    assert aws.asked[0].regions["aws"] == ("us-east-9",)


def test_without_a_region_a_source_is_asked_where_the_settings_say(tmp_path: Path, aws: FakeSource) -> None:
    text = "sources: {aws: {regions: [eu-west-1]}}\n"
    found_prices(app(tmp_path, text), PriceQuestion("T4:1", source="aws"))
    assert aws.asked[0].regions == {"aws": ("eu-west-1",)}


def test_a_source_that_says_nothing_says_why(tmp_path: Path, aws: FakeSource) -> None:
    aws.rows, aws.skipped = [], ["no credentials"]
    found = found_prices(app(tmp_path, "{}"), PriceQuestion("T4:1", source="aws"))
    assert prices_json(found)["offers"] == []
    assert prices_json(found)["sources"][0]["skipped"] == ["no credentials"]
    assert "aws: no credentials" in shown(found, 80)


def test_all_sources_together_price_the_engines_offers_and_zones(tmp_path: Path, aws: FakeSource) -> None:
    found = rows(prices_json(found_prices(app(tmp_path, "sources: {aws: {}}\n"), PriceQuestion("T4:1"))))
    assert found["aws/us-east-1/g4dn.xlarge/spot"]["price_usd_per_hour"] == "0.29"  # the cheapest zone's
    assert "use1-az2, the cheapest of 2 zones" in found["aws/us-east-1/g4dn.xlarge/spot"]["source"]
    assert found["aws/use1-az1/g4dn.xlarge/spot"]["price_usd_per_hour"] == "0.31"
    sheet = [row for row in found.values() if row["source"].startswith("price sheet")]
    assert sheet  # other zones and regions, at the list prices of the sheet
    assert {row["cloud"] for row in found.values()} == {"aws"}


def test_prices_far_apart_are_shown_and_the_fresher_wins(tmp_path: Path, aws: FakeSource) -> None:
    aws.rows = [quote("use1-az1", "5.00")]
    found = found_prices(app(tmp_path, "sources: {aws: {}}\n"), PriceQuestion("T4:1"))
    row = rows(prices_json(found))["aws/us-east-1/g4dn.xlarge/spot"]
    assert row["price_usd_per_hour"] == "5.00"
    assert [(d["source"], d["price_usd_per_hour"]) for d in row["disagrees"]] == [("test", "0.20")]
    assert "DISAGREES" in shown(found, 150)


def test_the_teams_own_price_wins_and_its_line_is_named(tmp_path: Path, aws: FakeSource) -> None:
    (tmp_path / "prices.yaml").write_text(
        "prices:\n  - {cloud: aws, instance_type: g4dn.xlarge, market: spot, price_usd_per_hour: 0.11}\n"
    )
    text = "sources: {aws: {}, prices: prices.yaml}\n"
    found = rows(prices_json(found_prices(app(tmp_path, text), PriceQuestion("T4:1"))))
    row = found["aws/use1-az1/g4dn.xlarge/spot"]
    assert (row["price_usd_per_hour"], row["source"]) == ("0.11", "team's prices (prices.yaml:2): negotiated")
    assert [d["price_usd_per_hour"] for d in row["disagrees"]][:1] == ["0.31"]
    alone = rows(prices_json(found_prices(app(tmp_path, text), PriceQuestion("T4:1", source="prices"))))
    assert {r["price_usd_per_hour"] for r in alone.values()} == {"0.11"}
    assert {r["source"] for r in alone.values()} == {"team's prices (prices.yaml:2): negotiated"}


def test_without_sources_prices_are_the_engines(tmp_path: Path) -> None:
    found = found_prices(app(tmp_path, "{}"), PriceQuestion())
    assert [row["source"] for row in prices_json(found)["offers"]] == ["test"]
    assert "sources" not in prices_json(found)


def test_an_emulated_market_is_priced_by_its_own_file(tmp_path: Path, aws: FakeSource) -> None:
    engine = FakeEngine(ManualClock(NOW), offers=[offer("use1-az1", price="0.20")])
    found = found_prices(app(tmp_path, "sources: {aws: {}}\n", engine), PriceQuestion())
    assert [row["price_usd_per_hour"] for row in prices_json(found)["offers"]] == ["0.20"]
    assert aws.asked == []
    assert "--source" in found.notes[0]


@pytest.mark.parametrize("name", ["sheet", "skypilot"])
def test_list_prices_are_sources_too(tmp_path: Path, name: str) -> None:
    listed = RealEngine(ManualClock(NOW), offers=[offer("", read_at=NOW), offer("", Market.ON_DEMAND, read_at=NOW)])
    found = prices_json(found_prices(app(tmp_path, "{}", listed), PriceQuestion("T4:1", source=name)))
    assert found["offers"]
    assert [source["name"] for source in found["sources"]] == [name]


def shown(found: Any, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    print_prices(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 150])
def test_prices_fit_the_terminal_and_no_number_is_cut(tmp_path: Path, aws: FakeSource, width: int) -> None:
    found = found_prices(app(tmp_path, "sources: {aws: {}}\n"), PriceQuestion("T4:1"))
    text = shown(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert {f"{each.offer.price_usd_per_hour:.4f}" for each in found.offers} <= set(text.split())
    assert "7 of 10" in text
    assert "aws: 4 facts, read just now" in text
    assert "…" not in text


@pytest.mark.usefixtures("home")
def test_each_source_can_be_named_on_the_command_line() -> None:
    def said(*args: str) -> Result:
        return CliRunner().invoke(main.cli, ["prices", *args], standalone_mode=False)

    assert json.loads(said("--source", "sheet", "--accelerators", "A10G:1", "--json").stdout)["offers"]
    assert "aws" in str(said("--source", "azure").exception)
    assert "name one of them" in str(said("--source", "sheet", "--sheet").exception)
    assert set(SOURCE_NAMES) == {"aws", "gcp", "sheet", "skypilot", "prices"}
    assert "sources.prices is not set" in str(said("--source", "prices").exception)


def test_a_source_that_the_settings_turn_off_is_not_asked(tmp_path: Path, aws: FakeSource) -> None:
    with pytest.raises(Exception, match=r"sources\.aws\.enabled is false"):
        found_prices(app(tmp_path, "sources: {aws: {enabled: false}}\n"), PriceQuestion(source="aws"))
    found = found_prices(app(tmp_path, "sources: {aws: {enabled: false}}\n"), PriceQuestion())
    assert (found.answers, aws.asked) == ((), [])
