"""Offers as all sources together price them: whose price wins, what disagrees, what is said besides."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from factories import T0, at, offer
from fake_sources import quote

from spotwise.cost_models.joined_prices import JoinedOffer, PriceBook, quoted_offers
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.cost_models.sources.base import (
    CapacityKind,
    CapacitySignal,
    HazardKind,
    HazardWitness,
    Machine,
    Reading,
    Row,
    SourceQuery,
)
from spotwise.cost_models.sources.sheet import READ_AT, SheetSource
from spotwise.cost_models.team_prices import Agreement, TeamPrice

NOW = at(24)
OURS = TeamPrice("aws", Agreement.SAVINGS_PLAN, discount=Decimal("0.5"), family="g4dn", where="prices.yaml:2")


def reading(*rows: Row, read_at: datetime = NOW, source: str = "AWS") -> Reading:
    return Reading(source, read_at, rows)


def joined(found: Offer, *readings: Reading, ours: tuple[TeamPrice, ...] = ()) -> JoinedOffer:
    return PriceBook(readings, ours).joined([found], NOW)[0]


def test_the_live_price_of_a_zone_wins_over_an_older_list_price() -> None:
    found = joined(offer("a", price="0.20", read_at=at(-100)), reading(quote("a", "0.30"), quote("b", "0.25")))
    assert found.offer.price_usd_per_hour == found.price.usd_per_hour == Decimal("0.30")
    assert (found.offer.source, found.price.at, found.price.read_at) == ("AWS", T0, NOW)


def test_a_price_in_force_for_long_is_as_fresh_as_its_reading() -> None:
    """A record is a change point: one of three weeks ago, read now, is fresher than a list of yesterday."""
    long_ago = quote("a", "0.30", at=NOW - timedelta(days=21))
    assert joined(offer("a", read_at=NOW - timedelta(days=1)), reading(long_ago)).price.usd_per_hour == Decimal("0.30")


def test_an_old_reading_does_not_win_over_a_fresher_list() -> None:
    found = joined(offer("a", price="0.20", read_at=at(20)), reading(quote("a", "0.30"), read_at=at(10)))
    assert found.price.usd_per_hour == Decimal("0.20")
    assert found.offer.source == "test"


def test_a_price_without_a_date_is_the_oldest() -> None:
    assert joined(offer("a"), reading(quote("a"), read_at=at(-1e5))).price.usd_per_hour == Decimal("0.30")


def test_the_teams_own_price_wins_and_is_named() -> None:
    on_demand = offer("a", Market.ON_DEMAND, price="0.526", read_at=at(-100))
    found = joined(on_demand, reading(quote("", "0.60", market=Market.ON_DEMAND)), ours=(OURS,))
    assert found.offer.price_usd_per_hour == Decimal("0.3")  # half of the freshest list price
    assert found.offer.source == "team's prices (prices.yaml:2): savings plan, 50 % off"
    assert found.offer.on_demand_usd_per_hour == Decimal("0.3")


def test_savings_are_counted_against_what_the_team_pays_on_demand() -> None:
    spot = offer("a", price="0.20", read_at=at(-100))
    assert joined(spot, ours=(OURS,)).offer.on_demand_usd_per_hour == Decimal("0.263")
    assert joined(spot, ours=(OURS,)).offer.price_usd_per_hour == Decimal("0.20")


def test_savings_are_counted_against_the_live_on_demand_price_of_the_region() -> None:
    live = reading(quote("", "0.61", market=Market.ON_DEMAND))
    assert joined(offer("a", read_at=at(-100)), live).offer.on_demand_usd_per_hour == Decimal("0.61")


def test_an_offer_of_a_whole_region_costs_what_its_cheapest_zone_costs() -> None:
    found = joined(offer("", read_at=at(-100)), reading(quote("b", "0.40"), quote("a", "0.30")))
    assert found.price.usd_per_hour == Decimal("0.30")
    assert found.offer.source == "AWS, a, the cheapest of 2 zones"


def test_another_zones_price_is_not_taken() -> None:
    assert joined(offer("a", read_at=at(-100)), reading(quote("b", "0.40"))).price.usd_per_hour == Decimal("0.20")


def test_of_two_changes_the_later_is_in_force() -> None:
    for rows in (
        [quote("a", "0.3", at(1)), quote("a", "0.4", at(2))],
        [quote("a", "0.4", at(2)), quote("a", "0.3", at(1))],
    ):
        assert joined(offer("a"), reading(*rows)).price.usd_per_hour == Decimal("0.4")


@pytest.mark.parametrize(("usd", "is_far"), [("0.40", False), ("0.41", True), ("0.10", False), ("0.09", True)])
def test_sources_that_differ_by_more_than_a_factor_of_two_disagree(usd: str, is_far: bool) -> None:
    found = joined(offer("a", price="0.20", read_at=at(-100)), reading(quote("a", usd)))
    assert [other.usd_per_hour for other in found.disagrees] == ([Decimal("0.20")] if is_far else [])
    assert found.price.usd_per_hour == Decimal(usd)  # the fresher wins all the same


def test_signals_of_a_zone_and_of_its_region_are_the_offers() -> None:
    pool = offer("a").pool
    other = Pool("aws", "us-east-1", "b", "g4dn.xlarge")
    region = Pool("aws", "us-east-1", "", "g4dn.xlarge")
    old, new = (CapacitySignal(pool, CapacityKind.PLACEMENT_SCORE, v, 1, at(t)) for v, t in ((9, 1), (3, 2)))
    elsewhere = CapacitySignal(other, CapacityKind.PLACEMENT_SCORE, 7, 1, at(3))
    said = HazardWitness(region, HazardKind.PREEMPTED_SHARE, 0.3, at(0), at(1))
    not_here = HazardWitness(other, HazardKind.PREEMPTED_SHARE, 0.9, at(0), at(1))
    found = joined(offer("a"), reading(old, new, elsewhere, said, not_here))
    assert found.capacity is not None
    assert (found.capacity.signal, found.capacity.source) == (new, "AWS")
    assert [each.witness for each in found.witnesses] == [said]
    whole = joined(offer(""), reading(old, new, elsewhere, said, not_here))
    assert whole.capacity is not None
    assert whole.capacity.signal == elsewhere
    assert len(whole.witnesses) == 2


def test_signals_of_spot_say_nothing_of_on_demand() -> None:
    signal = CapacitySignal(offer("a").pool, CapacityKind.OBTAINABILITY, 0.5, 1, T0)
    found = joined(offer("a", Market.ON_DEMAND), reading(signal))
    assert (found.capacity, found.witnesses) == (None, ())


def test_each_quote_is_an_offer_with_what_is_known_of_its_machine() -> None:
    book = PriceBook([reading(quote("a", "0.3")), reading(quote("a", "0.4"), quote("b", "0.5"), read_at=at(1))])
    found = {o.pool.zone: o for o in quoted_offers(book, [offer("z")])}
    assert {zone: str(o.price_usd_per_hour) for zone, o in found.items()} == {"a": "0.3", "b": "0.5"}
    assert (found["b"].accelerators(), found["b"].vcpus, found["b"].read_at) == ("T4:1", 4.0, at(1))


def test_the_sheet_answers_as_a_source_as_old_as_it_is() -> None:
    query = SourceQuery((Machine("aws", "g5.xlarge", "A10G", 1),), {"aws": ("us-east-1",)})
    said = SheetSource().read(query, NOW)
    assert said.read_at == READ_AT
    assert {(row.pool.region, row.pool.instance_type) for row in said.rows} == {("us-east-1", "g5.xlarge")}
