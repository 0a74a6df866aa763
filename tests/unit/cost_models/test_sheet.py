"""From rows of the price sheet to offers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spotwise.cost_models.errors import PriceDataError
from spotwise.cost_models.offer import Market
from spotwise.cost_models.sources.sheet import load_sheet, row_offers, sheet_source
from spotwise.cost_models.sources.shipped import read_table

ROW = {
    "cloud": "aws",
    "region": "us-east-1",
    "zone": "use1-az1",
    "instance_type": "g4dn.xlarge",
    "accelerator": "T4",
    "accelerator_count": "1",
    "vcpus": "4",
    "memory_gib": "16",
    "on_demand_usd_per_hour": "0.526",
    "spot_usd_per_hour": "0.2345",
    "catalog": "aws@00148f2",
    "left_out": "",
}


def test_a_row_becomes_a_spot_and_an_on_demand_offer() -> None:
    spot, on_demand = row_offers(ROW)
    assert (spot.market, spot.price_usd_per_hour) == (Market.SPOT, Decimal("0.2345"))
    assert (on_demand.market, on_demand.price_usd_per_hour) == (Market.ON_DEMAND, Decimal("0.526"))
    assert spot.on_demand_usd_per_hour == Decimal("0.526")
    assert spot.key == "aws/use1-az1/g4dn.xlarge/spot"
    assert (spot.accelerators(), spot.vcpus, spot.memory_gib) == ("T4:1", 4.0, 16.0)
    assert spot.source == "price sheet 2026-11-23 (SkyPilot catalog aws@00148f2)"


def test_a_market_without_a_price_has_no_offer() -> None:
    assert [offer.market for offer in row_offers({**ROW, "spot_usd_per_hour": ""})] == [Market.ON_DEMAND]


@pytest.mark.parametrize("price", ["0", "-1", "free", "NaN", "Infinity"])
def test_a_price_that_is_none_is_refused_with_its_row(price: str) -> None:
    with pytest.raises(PriceDataError, match=r"aws use1-az1 g4dn\.xlarge: spot price"):
        list(row_offers({**ROW, "spot_usd_per_hour": price}))


def test_the_sheet_has_both_markets_and_names_no_offer_twice() -> None:
    offers = load_sheet()
    assert {offer.market for offer in offers} == {Market.SPOT, Market.ON_DEMAND}
    assert len({(offer.key, offer.accelerators()) for offer in offers}) == len(offers)


def test_the_sheet_is_dated_and_says_where_it_is_from() -> None:
    assert "2026-11-23" in sheet_source()
    assert sheet_source() == "price sheet 2026-11-23 (SkyPilot catalog)"


def test_a_missing_table_says_what_to_do() -> None:
    with pytest.raises(PriceDataError, match="install spotwise again"):
        read_table("unheard-of")
