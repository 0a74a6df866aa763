"""The ledger as a FOCUS 1.2 cost and usage dataset (FinOps Open Cost and Usage Specification), one row a charge.

Precision: ``PricingQuantity`` is the ledger's hours (six decimals) and unit prices are the published ones, so
``ListUnitPrice x PricingQuantity`` is ``ListCost`` and ``ContractedUnitPrice x PricingQuantity`` is ``ContractedCost``
to the last digit. ``BilledCost`` and ``EffectiveCost`` are the ledger's amounts to the last digit; they differ from
``ContractedCost`` by the rounding of hours and amounts: at most ``(unit price / 2 + 1) / 1,000,000`` USD a row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotwise.cost_models.offer import Market, Offer

from ..accounting.ledger import Charge
from ..accounting.team_month import Money, money_of, month_of
from ..core.errors import JobFileError
from ..core.run import Attempt, Run
from ..jobfile.job_spec import labels_of
from .as_json import utc_text
from .data import ReportData

FOCUS_COLUMNS = (  # all of FOCUS 1.2, in the specification's order
    *("AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType"),
    *(
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "CapacityReservationId",
        "CapacityReservationStatus",
    ),
    *("ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart"),
    *("CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity"),
    *("CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity"),
    *("ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName"),
    *("ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice"),
    *("PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType"),
    *("ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    *("SubAccountId", "SubAccountName", "SubAccountType", "Tags"),
)
CUSTOM_COLUMNS = (
    *("x_AttemptId", "x_AttemptNumber", "x_AttemptState", "x_CapacityShare", "x_Category", "x_ChargeEnd", "x_ChargeId"),
    *("x_ChargeStart", "x_CostBasis", "x_JobName", "x_ListPriceBasis", "x_Market", "x_Owner", "x_PriceSource"),
    *("x_Project", "x_RunId", "x_Team", "x_TrialNumber"),
)
COLUMNS = FOCUS_COLUMNS + CUSTOM_COLUMNS
_PROVIDERS = {"aws": "AWS", "gcp": "Google Cloud", "azure": "Microsoft", "oci": "Oracle"}
_SERVICES = {"aws": "Amazon Elastic Compute Cloud", "gcp": "Compute Engine", "azure": "Virtual Machines"}

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | Decimal | None


def focus_csv(data: ReportData) -> str:
    """The whole dataset as CSV: header, then charges by time. Nulls are empty fields; lines end in CR LF (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="")
    writer.writeheader()
    runs = {run.id: run for run in data.runs}
    billed = {charge.run_id for charge in data.charges}
    labels = {run.id: _labels(run) for run in data.runs if run.id in billed}
    attempts = {attempt.id: attempt for attempt in data.attempts}
    for charge in sorted(data.charges, key=lambda c: (c.start, c.run_id, c.attempt_id, c.seq)):
        row = focus_row(charge, runs[charge.run_id], attempts[charge.attempt_id], labels[charge.run_id])
        writer.writerow({name: _text(value) for name, value in row.items()})
    return buffer.getvalue()


def focus_row(charge: Charge, run: Run, attempt: Attempt, labels: Mapping[str, str]) -> dict[str, Cell]:
    """One row; columns that are left out are null. ``labels`` are those of the job file."""
    emulated = money_of(charge.cost_basis) is Money.EMULATED
    return {
        **_costs(charge),
        **_account(run, charge.offer, emulated=emulated),
        **_periods(charge),
        **_charge_kind(charge, emulated=emulated),
        "Tags": _json({**labels, **_tags(charge, run)}),
        **_resource(charge.offer, attempt),
        **_custom(charge, run, attempt),
    }


def _costs(charge: Charge) -> dict[str, Cell]:
    paid = charge.offer.price_usd_per_hour
    listed = paid if charge.on_demand_usd is None else charge.offer.on_demand_usd_per_hour
    listed = paid if listed is None else listed
    return {
        "BilledCost": charge.amount_usd,
        "EffectiveCost": charge.amount_usd,
        "ContractedUnitPrice": paid,
        "ContractedCost": paid * charge.hours,
        "ListUnitPrice": listed,
        "ListCost": listed * charge.hours,
        "PricingQuantity": charge.hours,
        "PricingUnit": "Hours",
        "PricingCategory": "Dynamic" if charge.offer.is_spot else "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": paid,
        "PricingCurrencyEffectiveCost": charge.amount_usd,
        "PricingCurrencyListUnitPrice": listed,
        "ConsumedQuantity": charge.hours,
        "ConsumedUnit": "Hours",
        "BillingCurrency": "USD",
    }


def _account(run: Run, offer: Offer, *, emulated: bool) -> dict[str, Cell]:
    """Emulated money gets an account, a provider and an issuer of its own, so no tool adds it to a real bill."""
    provider = _PROVIDERS.get(offer.pool.cloud, offer.pool.cloud)
    provider = f"{provider} (emulated)" if emulated else provider
    return {
        "BillingAccountId": "spotwise-emulated" if emulated else "spotwise",
        "BillingAccountName": "spotwise emulated market" if emulated else "spotwise",
        "BillingAccountType": "Emulated" if emulated else "Installation",
        "SubAccountId": run.team or None,
        "SubAccountName": run.team or None,
        "SubAccountType": "Team" if run.team else None,
        "ProviderName": provider,
        "PublisherName": provider,
        "InvoiceIssuerName": provider,
    }


def _periods(charge: Charge) -> dict[str, Cell]:
    """FOCUS times have whole seconds: the shortest period of whole seconds that holds the charge."""
    month_start, month_end = month_of(charge.start)
    end = charge.end + timedelta(microseconds=-charge.end.microsecond % 1_000_000)
    return {
        "BillingPeriodStart": _second(month_start),
        "BillingPeriodEnd": _second(month_end),
        "ChargePeriodStart": _second(charge.start),
        "ChargePeriodEnd": _second(end),
        "x_ChargeStart": utc_text(charge.start),
        "x_ChargeEnd": utc_text(charge.end),
    }


def _charge_kind(charge: Charge, *, emulated: bool) -> dict[str, Cell]:
    market = "spot" if charge.offer.market is Market.SPOT else "on-demand"
    money = "; emulated market, no real money" if emulated else ""
    where = charge.offer.pool.place
    return {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{charge.offer.pool.instance_type} {market} in {where}, run {charge.run_id}{money}",
    }


def _tags(charge: Charge, run: Run) -> dict[str, str]:
    """What the user gave stands as given; what spotwise adds has its prefix."""
    tags = {
        "team": run.team,
        "project": run.project,
        "owner": run.owner,
        "job": run.job_name,
        "spotwise/run": run.id,
        "spotwise/attempt": charge.attempt_id,
        "spotwise/trial": "" if charge.trial is None else str(charge.trial),
    }
    return {key: value for key, value in tags.items() if value}


def _labels(run: Run) -> dict[str, str]:
    """``labels`` of the job file: the user's own tags. The file was checked at submission."""
    try:
        return labels_of(run.job_yaml, source=run.id)
    except JobFileError:  # one damaged text must not take the whole file
        return {}


def _resource(offer: Offer, attempt: Attempt) -> dict[str, Cell]:
    pool = offer.pool
    kind = {
        "InstanceType": pool.instance_type,
        "CoreCount": _whole(offer.vcpus),
        "MemorySize": _whole(offer.memory_gib),  # GiB
        "GpuCount": offer.accelerator_count,
    }
    details = {key: value for key, value in kind.items() if value}  # FOCUS's own keys: any other would begin with x_
    return {
        "AvailabilityZone": pool.zone or None,
        "RegionId": pool.region or None,
        "RegionName": pool.region or None,
        "ResourceId": attempt.id,
        "ResourceName": attempt.id,
        "ResourceType": "Virtual Machine",
        "ServiceCategory": "Compute",
        "ServiceSubcategory": "Virtual Machines",
        "ServiceName": _SERVICES.get(pool.cloud, "Compute"),
        "SkuId": f"{pool.cloud}/{pool.instance_type}",
        "SkuMeter": "Compute Usage",
        "SkuPriceId": offer.key,
        "SkuPriceDetails": _json(details),
    }


def _custom(charge: Charge, run: Run, attempt: Attempt) -> dict[str, Cell]:
    return {
        "x_AttemptId": attempt.id,
        "x_AttemptNumber": attempt.number,
        "x_AttemptState": attempt.state.value,
        "x_Category": charge.category.value,
        "x_CapacityShare": charge.share,
        "x_ChargeId": charge.id,
        "x_CostBasis": charge.cost_basis.value,
        "x_JobName": run.job_name,
        "x_ListPriceBasis": "offer" if charge.on_demand_usd is None else "on_demand",
        "x_Market": charge.offer.market.value,
        "x_Owner": run.owner or None,
        "x_PriceSource": charge.offer.source or None,
        "x_Project": run.project or None,
        "x_RunId": run.id,
        "x_Team": run.team or None,
        "x_TrialNumber": charge.trial,
    }


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(values: Mapping[str, object]) -> str | None:
    return json.dumps(values, sort_keys=True, ensure_ascii=False) if values else None


def _text(value: Cell) -> str:
    """Null is empty, numbers have no exponent, text that a spreadsheet would run as a formula gets an apostrophe."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if value is None:
        return ""
    return _decimal(value) if isinstance(value, Decimal) else str(value)


def _decimal(value: Decimal) -> str:
    """A whole amount gets decimals too: a column that holds ``2`` is read as one of integers, in all its rows."""
    text = f"{value:f}"
    return text if "." in text else f"{text}.00"


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
