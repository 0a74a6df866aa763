"""Plans at the prices that sources say."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import JOB_YAML, T0, at, offer
from fake_sources import FakeSource, quote
from rich.console import Console

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Pool
from spotwise.scheduler.cli.plan_view import print_plan
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.enabled_sources import EnabledSources
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.price_sources import AskedSource, PriceSources, SourceAnswer
from spotwise.scheduler.planning.reading_cache import ReadingCache
from spotwise.scheduler.planning.sourced_market import with_sources
from spotwise.scheduler.planning.work_estimate import WorkEstimate

JOB = parse_job(JOB_YAML, source="job")
OFFERS = (
    offer("a", price="0.20", read_at=at(-100)),
    offer("b", price="0.22", read_at=at(-100)),
    offer("a", Market.ON_DEMAND, price="0.526", read_at=at(-100)),
    offer(pool=Pool("aws", "us-east-1", "a", "p3.2xlarge"), accelerator="V100", price="0.9", read_at=at(-100)),
)


def market(basis: CostBasis = CostBasis.ESTIMATED) -> MarketSnapshot:
    beliefs = {each.pool: HazardBelief(10, 200, "test") for each in OFFERS}
    return MarketSnapshot(OFFERS, {}, beliefs, Overheads(0.05, 0.05, 0.01), Decimal(3600), basis, one_machine=False)


def asking(folder: Path, source: FakeSource, **more: Any) -> EnabledSources:
    clock = more.pop("clock", ManualClock(T0))
    return EnabledSources(PriceSources([AskedSource(source)], ReadingCache(folder), clock), **more)


def planned(known: MarketSnapshot, answers: tuple[SourceAnswer, ...]) -> Any:
    return replace(make_plan(JOB, WorkEstimate(2.0, "test", "T4"), known, T0), sources=answers)


def shown(plan: Any) -> str:
    console = Console(width=80, file=io.StringIO())
    print_plan(plan, console)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_a_plan_chooses_by_the_live_price_of_a_zone(tmp_path: Path) -> None:
    source = FakeSource(rows=[quote("a", "0.35"), quote("b", "0.15")])
    known, answers = with_sources(market(), asking(tmp_path, source), JOB, T0)
    plan = planned(known, answers)
    assert plan.chosen.offer.key == "aws/b/g4dn.xlarge/spot"
    assert plan.chosen.offer.price_usd_per_hour == Decimal("0.15")
    said = plan_json(plan)
    assert [(s["name"], s["age_seconds"], s["stale"]) for s in said["sources"]] == [("aws", 0, False)]
    chosen = next(each for each in said["offers"] if each["chosen"])
    assert (chosen["source"], chosen["read_at"]) == ("aws's prices", T0.isoformat())
    assert "price 0.15 USD/h: aws's prices, read just now" in shown(plan)


def test_only_machines_that_the_job_could_use_are_asked_about(tmp_path: Path) -> None:
    source = FakeSource(rows=[quote("a")])
    with_sources(market(), asking(tmp_path, source), parse_job(JOB_YAML + "num_nodes: 2\n", source="job"), T0)
    (query,) = source.asked
    assert [machine.instance_type for machine in query.machines] == ["g4dn.xlarge"]
    assert (query.regions, query.size) == ({"aws": ("us-east-1",)}, 2)


def test_a_limit_of_the_price_is_held_against_the_price_that_wins(tmp_path: Path) -> None:
    job = parse_job(JOB_YAML.replace("T4:1}", "T4:1, max_hourly_cost: 0.18}"), source="job")
    known, _ = with_sources(market(), asking(tmp_path, FakeSource(rows=[quote("b", "0.15")])), job, T0)
    plan = make_plan(job, WorkEstimate(2.0, "test", "T4"), known, T0)
    assert plan.chosen is not None
    assert plan.chosen.offer.price_usd_per_hour == Decimal("0.15")


def test_a_source_that_fails_leaves_the_list_price_and_is_named(tmp_path: Path) -> None:
    known, answers = with_sources(market(), asking(tmp_path, FakeSource(skipped=["no credentials"])), JOB, T0)
    plan = planned(known, answers)
    assert plan.chosen.offer.price_usd_per_hour == Decimal("0.20")
    assert "note aws: no credentials" in shown(plan)
    assert "price 0.20 USD/h: test, of 2026-02-25 08:00 UTC" in shown(plan)


def test_a_stale_answer_says_its_age(tmp_path: Path) -> None:
    clock = ManualClock(T0)
    rows = [quote("a", "0.19"), quote("b", "0.19")]
    with_sources(market(), asking(tmp_path, FakeSource(rows=rows), clock=clock), JOB, T0)
    clock.moment = at(3)
    failing = asking(tmp_path, FakeSource(skipped=["throttled"]), clock=clock)
    known, answers = with_sources(market(), failing, JOB, at(3))
    assert "0.19 USD/h: aws's prices, read 3 h ago, stale" in shown(planned(known, answers))


@pytest.mark.parametrize("named", [True, False])
def test_nobody_is_asked_about_an_emulated_market_or_where_nobody_is_named(tmp_path: Path, named: bool) -> None:
    source = FakeSource(rows=[quote("a", "0.01")])
    sources = asking(tmp_path, source) if named else None
    known = market(CostBasis.EMULATED if named else CostBasis.ESTIMATED)
    assert with_sources(known, sources, JOB, T0) == (known, ())
    assert source.asked == []
