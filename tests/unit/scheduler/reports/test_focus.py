"""The CSV is a FOCUS 1.2 dataset: checked against the specification's rules for usage rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sample_report import BASE, emulated_data, mixed_data, sample_data

from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.reports import ReportData, focus_csv
from spotwise.scheduler.reports.focus import COLUMNS, CUSTOM_COLUMNS, FOCUS_COLUMNS

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
EXACT_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
NUMBER = re.compile(r"-?\d+\.\d+")  # a whole number would make its column one of integers
# FOCUS 1.2, usage rows without a commitment discount, reservation, invoice or correction.
NULL = {
    *("CapacityReservationId", "CapacityReservationStatus", "ChargeClass", "InvoiceId"),
    *(c for c in FOCUS_COLUMNS if c.startswith("CommitmentDiscount")),
}
NULLABLE = {"AvailabilityZone", "SubAccountId", "SubAccountName", "SubAccountType", "RegionId", "RegionName"}
NUMBERS = {
    *("BilledCost", "EffectiveCost", "ListCost", "ListUnitPrice", "ContractedCost", "ContractedUnitPrice"),
    *("PricingQuantity", "ConsumedQuantity", "x_CapacityShare"),
    *("PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice"),
}
SKU_KEYS = {"InstanceType", "CoreCount", "MemorySize", "GpuCount"}  # of those that FOCUS 1.2 names
ALLOWED = {
    "ChargeCategory": {"Usage"},
    "ChargeFrequency": {"Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic"},
    "PricingUnit": {"Hours"},
    "ConsumedUnit": {"Hours"},
    "BillingCurrency": {"USD"},
    "PricingCurrency": {"USD"},
    "ServiceCategory": {"Compute"},
    "ServiceSubcategory": {"Virtual Machines"},
    "x_CostBasis": {basis.value for basis in CostBasis},
    "x_Market": {"spot", "on_demand"},
    "x_ListPriceBasis": {"on_demand", "offer"},
}


def rows_of(data: ReportData) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(focus_csv(data))))


def faults(row: dict[str, str]) -> Iterator[str]:
    """What a FOCUS validator would say of one row."""
    for column in FOCUS_COLUMNS:
        if column in NULL and row[column]:
            yield f"{column} must be null"
        if column not in NULL | NULLABLE and not row[column]:
            yield f"{column} must not be null"
    yield from (f"{c} is not a number: {row[c]}" for c in NUMBERS if not NUMBER.fullmatch(row[c]))
    yield from (f"{c} is not allowed: {row[c]}" for c, values in ALLOWED.items() if row[c] not in values)
    yield from _time_faults(row)
    yield from _cost_faults(row)
    for column in ("Tags", "SkuPriceDetails"):
        if not all(isinstance(v, str | int | float | bool) for v in json.loads(row[column]).values()):
            yield f"{column} holds more than simple values"
    yield from (f"SkuPriceDetails has the key {k}" for k in json.loads(row["SkuPriceDetails"]) if k not in SKU_KEYS)
    if bool(row["SubAccountId"]) != bool(row["SubAccountType"]):
        yield "SubAccountType goes with SubAccountId"


def _time_faults(row: dict[str, str]) -> Iterator[str]:
    names = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    yield from (f"{c} is not a moment: {row[c]}" for c in names if not MOMENT.fullmatch(row[c]))
    yield from (f"{c} is not a moment" for c in ("x_ChargeStart", "x_ChargeEnd") if not EXACT_MOMENT.fullmatch(row[c]))
    if not row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]:
        yield "the charge period is empty or outside the billing period"


def _cost_faults(row: dict[str, str]) -> Iterator[str]:
    value = {column: Decimal(row[column]) for column in NUMBERS}
    quantity = value["PricingQuantity"]
    if value["ListUnitPrice"] * quantity != value["ListCost"]:
        yield "ListUnitPrice x PricingQuantity is not ListCost"
    if value["ContractedUnitPrice"] * quantity != value["ContractedCost"]:
        yield "ContractedUnitPrice x PricingQuantity is not ContractedCost"
    allowed = (value["ContractedUnitPrice"] / 2 + 1) / 1_000_000
    if abs(value["ContractedCost"] - value["BilledCost"]) > allowed:
        yield "ContractedCost is further from BilledCost than the stated precision"
    cheaper = row["x_ListPriceBasis"] == "on_demand" and value["ListUnitPrice"] >= value["ContractedUnitPrice"]
    if cheaper and value["ListCost"] < value["BilledCost"] - allowed:
        yield "ListCost is below BilledCost"


@pytest.mark.parametrize("data", [sample_data(), emulated_data(), mixed_data()], ids=["real", "emulated", "mixed"])
def test_every_row_keeps_the_rules_of_the_specification(data: ReportData) -> None:
    rows = rows_of(data)
    assert len(rows) == len(data.charges)
    assert [fault for row in rows for fault in faults(row)] == []


def test_the_validator_sees_faults() -> None:
    """It would fail on a broken row."""
    row = rows_of(sample_data())[0] | {"BilledCost": "1e-3", "ChargePeriodStart": "2026-11-04", "InvoiceId": "7"}
    found = list(faults(row))
    assert {"BilledCost is not a number: 1e-3", "InvoiceId must be null"} <= set(found)
    assert "ChargePeriodStart is not a moment: 2026-11-04" in found


def test_the_columns_are_those_of_the_specification_then_our_own() -> None:
    """57 columns in alphabetical order; custom ones carry the prefix."""
    header = next(csv.reader(io.StringIO(focus_csv(sample_data()))))
    assert tuple(header) == COLUMNS
    assert len(FOCUS_COLUMNS) == 57
    assert list(FOCUS_COLUMNS) == sorted(FOCUS_COLUMNS)
    assert list(CUSTOM_COLUMNS) == sorted(CUSTOM_COLUMNS)
    assert all(column.startswith("x_") for column in CUSTOM_COLUMNS)


def test_no_runs_make_a_header_only() -> None:
    """Tools load it without a special case."""
    assert focus_csv(ReportData(now=BASE)).splitlines() == [",".join(COLUMNS)]


def test_emulated_money_has_an_account_a_provider_and_an_issuer_of_its_own() -> None:
    """A finance tool that sums by any of them never adds it to a bill."""
    rows = rows_of(mixed_data())
    for column in ("BillingAccountId", "ProviderName", "InvoiceIssuerName"):
        emulated = {row[column] for row in rows if row["x_CostBasis"] == "emulated"}
        real = {row[column] for row in rows if row["x_CostBasis"] != "emulated"}
        assert emulated and real and not emulated & real


def test_spot_is_dynamic_and_on_demand_is_standard() -> None:
    pairs = {(row["x_Market"], row["PricingCategory"]) for row in rows_of(sample_data())}
    assert pairs == {("spot", "Dynamic"), ("on_demand", "Standard")}


def test_where_nobody_sells_on_demand_the_list_price_is_the_price_paid() -> None:
    """The row says so, and shows no savings."""
    (lab,) = {
        (row["x_ListPriceBasis"], row["ListUnitPrice"], row["ContractedUnitPrice"])
        for row in rows_of(sample_data())
        if row["SkuId"] == "lab/workstation"
    }
    assert lab == ("offer", "0.12", "0.12")


def test_tags_hold_what_finance_groups_by() -> None:
    """The user's labels as given, what spotwise adds with its prefix."""
    row = next(r for r in rows_of(sample_data()) if r["x_TrialNumber"] == "3")
    assert json.loads(row["Tags"]) == {
        "job": "shelf-detector-sweep",
        "owner": "ana",
        "project": "shelf-detector",
        "spotwise/attempt": row["x_AttemptId"],
        "spotwise/run": "shelf-detector-sweep-7k2f9q",
        "spotwise/trial": "3",
        "team": "vision",
        "ticket": "V-1204",
    }


def test_a_charge_shorter_than_a_second_has_a_period_of_whole_seconds() -> None:
    """The exact moments stand in x_ChargeStart and x_ChargeEnd."""
    row = next(r for r in rows_of(emulated_data()) if r["x_ChargeEnd"] < "2026-11-04T08:00:01")
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-11-04T08:00:00Z", "2026-11-04T08:00:01Z")


def test_a_charge_that_ends_the_month_stays_in_its_billing_period() -> None:
    """Half a second before midnight rounds up to midnight, which is the exclusive end."""
    base = datetime(2026, 11, 30, 23, 59, 59, 500_000, tzinfo=UTC) - timedelta(hours=13.5)
    data = sample_data(base=base)
    assert [fault for row in rows_of(data) for fault in faults(row)] == []


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@sum", "\tx"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(name: str) -> None:
    """Owners come from users' files; finance opens the result in a spreadsheet."""
    data = sample_data()
    runs = tuple(replace(run, owner=name) for run in data.runs)
    assert {row["x_Owner"] for row in rows_of(replace(data, runs=runs))} == {"'" + name}


def test_a_run_without_team_and_labels_leaves_their_columns_null() -> None:
    data = sample_data()
    bare = replace(data, runs=tuple(r.evolve(team="", project="", owner="", job_yaml="name: x\n") for r in data.runs))
    row = rows_of(bare)[0]
    assert {row[c] for c in ("SubAccountId", "SubAccountType", "x_Team", "x_Project", "x_Owner")} == {""}
    assert "ticket" not in json.loads(row["Tags"])


LABELS = """name: digits
run: python train.py
labels: {country: no, ticket: 0123, window: 12:30, ver: 1.10, on: off, big: 1_000, day: 2026-01-02, e: 1e3}
"""


def test_tags_keep_the_text_of_labels() -> None:
    """A file's words are not numbers, times of day or truth values only because they look so."""
    data = sample_data()
    runs = tuple(run.evolve(job_yaml=LABELS) for run in data.runs)
    tags = json.loads(rows_of(replace(data, runs=runs))[0]["Tags"])
    told = {"country": "no", "ticket": "0123", "window": "12:30", "ver": "1.10", "on": "off"}
    told |= {"big": "1_000", "day": "2026-01-02", "e": "1e3"}
    assert {name: tags[name] for name in told} == told
    assert parse_job(LABELS, source="job").labels == told


def test_whole_prices_have_decimals() -> None:
    data = sample_data()
    charges = tuple(replace(c, offer=replace(c.offer, price_usd_per_hour=Decimal(2))) for c in data.charges)
    assert {row["ContractedUnitPrice"] for row in rows_of(replace(data, charges=charges))} == {"2.00"}
    large = tuple(replace(c, offer=replace(c.offer, price_usd_per_hour=Decimal("1E+2"))) for c in data.charges)
    assert {row["ContractedUnitPrice"] for row in rows_of(replace(data, charges=large))} == {"100.00"}


def test_details_of_a_price_are_in_the_keys_of_the_specification() -> None:
    found = [json.loads(row["SkuPriceDetails"]) for row in rows_of(sample_data())]
    assert all({"InstanceType", "CoreCount", "MemorySize"} <= set(details) <= SKU_KEYS for details in found)
    assert any("GpuCount" in details for details in found)
