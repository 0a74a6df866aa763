"""The emulated market is a pure function, and its statistics are those it was given."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import POOL, make_market, make_request, spot_offer

from spotwise.cost_models.offer import Pool
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import CapacityError, EngineError
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.engines.local import engine as local_engine
from spotwise.scheduler.engines.local.engine import LocalEngine
from spotwise.scheduler.engines.local.folder import AttemptFolder
from spotwise.scheduler.engines.local.market import EmulatedMarket, Outage, Spells, Weibull
from spotwise.scheduler.jobfile.settings import Settings

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
OUTAGE = Outage(every=Weibull(2.0, 10.0), length=Weibull(1.5, 2.0))
HOURS = st.floats(min_value=0, max_value=500)


def lively_market(seed: int = 1) -> EmulatedMarket:
    entry = make_market().pools[0]
    lively = replace(entry, lifetime=Weibull(2.5, 3.0), outage=OUTAGE)
    return replace(make_market(), seed=seed, pools=(lively,))


@given(seed=st.integers(), asked=st.lists(HOURS, min_size=1, max_size=20))
def test_spells_do_not_depend_on_who_asks_in_which_order(seed: int, asked: list[float]) -> None:
    once = Spells(OUTAGE, str(seed))
    answers = [(once.is_up(hours), once.ends_at(hours)) for hours in asked]
    fresh = [(Spells(OUTAGE, str(seed)).is_up(hours), Spells(OUTAGE, str(seed)).ends_at(hours)) for hours in asked]
    assert answers == fresh


@given(seed=st.integers(), hours=HOURS)
def test_a_spell_lasts_until_its_end_and_no_longer(seed: int, hours: float) -> None:
    spells = Spells(OUTAGE, str(seed))
    end = spells.ends_at(hours)
    assert end > hours
    assert spells.is_up((hours + end) / 2) == spells.is_up(hours)
    assert spells.is_up(end) != spells.is_up(hours)


@given(seconds=st.floats(min_value=0, max_value=3600), number=st.integers(1, 50))
def test_a_machine_is_never_kept_beyond_its_pools_spell(seconds: float, number: int) -> None:
    market = lively_market().opened(ANCHOR)
    asked_at = ANCHOR + timedelta(seconds=seconds)
    notice_at = market.preemption_at(POOL, f"job-a{number}", asked_at)
    spell_ends_at = market.spell_ends_at(POOL, asked_at)
    assert notice_at is not None
    assert spell_ends_at is not None
    assert asked_at < notice_at <= spell_ends_at


def test_without_outages_capacity_is_always_there() -> None:
    market = make_market().opened(ANCHOR)
    assert market.available(POOL, ANCHOR + timedelta(days=400))
    assert market.spell_ends_at(POOL, ANCHOR) is None


def test_lifetimes_have_the_mean_of_their_distribution() -> None:
    """4000 draws: the standard error is below 1 % of the mean."""
    market = lively_market()
    lives = [market.lifetime_hours(POOL, f"job-a{n}") for n in range(4000)]
    assert statistics.mean(lives) == pytest.approx(Weibull(2.5, 3.0).mean_hours, rel=0.03)


def test_outages_take_their_share_of_the_time() -> None:
    spells = Spells(OUTAGE, "a seed")
    down = sum(not spells.is_up(hours) for hours in range(40_000)) / 40_000
    expected = OUTAGE.length.mean_hours / (OUTAGE.length.mean_hours + OUTAGE.every.mean_hours)
    assert down == pytest.approx(expected, rel=0.05)


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    lives = [[lively_market(seed).lifetime_hours(POOL, f"job-a{n}") for n in range(5)] for seed in (1, 1, 2)]
    assert lives[0] == lives[1] != lives[2]


def test_known_draws_stay_as_they_are() -> None:
    """Demos are told by these numbers; a change of how they are drawn must not go unnoticed."""
    assert lively_market().lifetime_hours(POOL, "digits-a1") == pytest.approx(3.581014, abs=1e-6)


def test_a_clock_behind_the_anchor_reads_hour_zero() -> None:
    market = lively_market().opened(ANCHOR)
    assert market.available(POOL, ANCHOR - timedelta(days=1))
    assert market.spell_ends_at(POOL, ANCHOR - timedelta(days=1)) == market.spell_ends_at(POOL, ANCHOR)


def test_an_unknown_pool_is_refused_with_those_that_exist() -> None:
    with pytest.raises(EngineError, match=r"aws/use1-az4/g4dn\.xlarge"):
        make_market().entry(Pool("gcp", "r", "z", "n1"))


def test_every_pool_sells_spot_and_on_demand() -> None:
    spot, on_demand = make_market().offers()
    assert (spot.is_spot, on_demand.is_spot) == (True, False)
    assert spot.on_demand_usd_per_hour == on_demand.price_usd_per_hour


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def at(home: Path) -> Callable[[float], LocalEngine]:
    """An engine at this many market hours after the market opened, with an outage from hour 2 to 5."""
    LocalEngine(home, make_market(outage=(2, 3)), ManualClock(ANCHOR)).available()

    def make(hours: float) -> LocalEngine:
        return LocalEngine(home, make_market(outage=(2, 3)), ManualClock(ANCHOR + timedelta(seconds=hours)))

    return make


@pytest.mark.parametrize(("hours", "up"), [(0, True), (1.9, True), (2.1, False), (4.9, False), (5.1, True), (-9, True)])
def test_availability_counts_from_the_first_use_in_this_home(
    at: Callable[[float], LocalEngine], hours: float, up: bool
) -> None:
    engine = at(hours)
    spot, on_demand = engine.offers()
    assert engine.available() == {spot.key: up, on_demand.key: True}


def test_spot_is_refused_during_an_outage_and_nothing_is_left(at: Callable[[float], LocalEngine], home: Path) -> None:
    engine = at(3)
    with pytest.raises(CapacityError, match="use1-az4"):
        engine.launch(make_request(home, spot_offer(engine), "true"))
    assert not (home / "attempts").exists()


@pytest.mark.parametrize(("same_draws", "lives"), [(False, 2), (True, 1)])
def test_each_run_of_a_job_meets_a_fate_of_its_own_unless_a_demo_is_to_repeat(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, same_draws: bool, lives: int
) -> None:
    """A nightly job would learn its pool's hazard from one draw, again and again."""
    monkeypatch.setattr(local_engine, "_start_node", lambda *_args: None)
    market = lively_market()
    engine = LocalEngine(home, market, ManualClock(ANCHOR), same_draws=same_draws)
    notices = set()
    for run_id in ("nightly-aaaaaa", "nightly-bbbbbb"):
        (home / run_id).mkdir()
        request = make_request(home / run_id, spot_offer(engine), "true")
        request = replace(request, run_id=run_id, attempt_id=f"{run_id}-a1")
        engine.launch(request)
        asked = AttemptFolder.of(request.folder, request.attempt_id).request()
        assert asked is not None
        notices.add(asked.notice_at)
    assert len(notices) == lives


def test_the_demo_repeats_because_its_environment_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, repeats in (("", False), ("1", True)):
        monkeypatch.setenv(local_engine.SAME_DRAWS, value)
        assert local_engine.create_engine(Settings(home=home), ManualClock())._same_draws is repeats
    assert f"export {local_engine.SAME_DRAWS}=1" in (Path(__file__).parents[5] / "demo.sh").read_text()


def test_a_broken_anchor_says_which_file_to_remove(at: Callable[[float], LocalEngine], home: Path) -> None:
    (home / "local" / "market-test.json").write_text("{")
    with pytest.raises(EngineError, match=r"market-test\.json.*remove it"):
        at(1).available()


def test_a_market_states_its_pace_its_basis_and_its_advice(at: Callable[[float], LocalEngine]) -> None:
    engine = at(0)
    belief = engine.stated_belief(POOL)
    assert (engine.hour_s, engine.cost_basis) == (1, CostBasis.EMULATED)
    assert belief is not None
    assert belief.mean_per_hour == pytest.approx(0.3)


def test_this_machine_alone_states_nothing_and_sells_one_offer(home: Path) -> None:
    engine = LocalEngine(home, None, ManualClock())
    (offer,) = engine.offers()
    assert (engine.hour_s, engine.cost_basis) == (3600, CostBasis.ESTIMATED)
    assert engine.stated_belief(offer.pool) is None
    assert offer.vcpus >= 1
    assert not offer.is_spot
