"""The plan on terminals of any width."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from factories import JOB_YAML, T0, offer
from rich.console import Console

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.cli.plan_view import print_plan
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.planning.market_snapshot import MarketSnapshot
from spotwise.scheduler.planning.plan import Plan, make_plan
from spotwise.scheduler.planning.plan_json import plan_json
from spotwise.scheduler.planning.work_estimate import STATED_SIGMA, WorkEstimate

JOB = JOB_YAML + "deadline: 12h\n"
OFFERS = (  # names that a narrow terminal can hold in one line
    offer(pool=Pool("slurm", "gcp", "spot", "T4:1"), price="0.412"),
    offer(pool=Pool("slurm", "gcp", "ondemand", "T4:1"), market=Market.ON_DEMAND, price="1.604"),
    offer(pool=Pool("azure", "southcentralus", "us-1", "Standard_NC4as_T4_v3"), price="31.212"),
)


def plan(hours: float | None = 2.0, offers: tuple[Offer, ...] = OFFERS) -> Plan:
    beliefs = {o.pool: HazardBelief(10, 200, "test") for o in offers if o.is_spot}
    overheads = Overheads(0.05, 0.05, 0.01)
    market = MarketSnapshot(offers, {}, beliefs, overheads, Decimal(3600), CostBasis.ESTIMATED, one_machine=True)
    return make_plan(parse_job(JOB, source="job"), WorkEstimate(hours, "test", "T4"), market, T0)


def shown(found: Plan, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    print_plan(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 150])
@pytest.mark.parametrize("hours", [2.0, None, 2000.0])
def test_every_price_and_number_is_there_in_full(width: int, hours: float | None) -> None:
    found = plan(hours)
    text = shown(found, width)
    words = set(text.split())
    for option in found.options:
        estimate = option.estimate
        assert estimate is not None
        assert {f"{option.offer.price_usd_per_hour:.3f}", f"{estimate.hours.expected:.1f}"} <= words
        assert f"{option.offer.pool.cloud}/{option.offer.pool.place}" in text
        assert option.offer.market.value.replace("_", "-") in words
        cost = estimate.cost_usd.expected
        assert words & {"never"} if not cost.is_finite() else words & {f"{cost:.2f}", f"{cost:.3f}"}
    assert "…" not in text
    assert ("->" in words) is (found.chosen is not None)
    assert all(heading in text for heading in ("USD/h", "10-90 %", "hours", "preempt.", "in time", "why"))


def test_every_reason_is_there_on_a_narrow_terminal() -> None:
    found = plan()
    flat = " ".join(shown(found, 80).split())
    assert "chosen" in flat
    assert all(option.reason in flat for option in found.options if not option.chosen)


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(len(line) for line in shown(plan(2000.0), 80).splitlines()) <= 80


def test_an_offer_has_one_line_where_there_is_room() -> None:
    (line,) = [
        line for line in shown(plan(), 150).splitlines() if "slurm/gcp/ondemand" in line and "chosen" not in line
    ]
    assert {"on-demand", "1.604"} < set(line.split())
    assert "USD more expected" in line


def test_work_that_is_known_roughly_is_said_to_be_more_on_average() -> None:
    """The middle of what it may be is not its mean: the costs shown are of 13 % more."""
    found = plan()
    rough = replace(found, work=replace(found.work, sigma=STATED_SIGMA))
    text = " ".join(shown(rough, 100).split())
    assert "more or less by a factor of 1.9: on average that is 2.27 h, 13 % more, and costs are of that" in text
    assert plan_json(rough)["work_expected_hours"] == pytest.approx(2.27, abs=0.005)
    assert "on average" not in shown(found, 100)


@pytest.mark.parametrize(("seen", "policy", "then"), [(False, "auto", "goes on demand"), (False, "spot_only", "stops")])
def test_a_checkpoint_that_nobody_has_seen_is_said_to_be_the_job_files_word(seen: bool, policy: str, then: str) -> None:
    job = parse_job(JOB + f"policy: {policy}\n", source="job")
    known = MarketSnapshot(
        *(
            OFFERS,
            {},
            {o.pool: HazardBelief(10, 200, "test") for o in OFFERS if o.is_spot},
            Overheads(0.05, 0.05, 0.01),
        ),
        *(Decimal(3600), CostBasis.ESTIMATED),
        one_machine=True,
    )
    work = WorkEstimate(2.0, "test", "T4")
    notes = make_plan(job, work, known, T0, checkpoint_seen=seen).notes
    assert len(notes) == 1
    assert f"the run {then}" in notes[0]
    assert make_plan(job, work, known, T0, checkpoint_seen=True).notes == ()
