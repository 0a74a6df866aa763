"""Values to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import fields
from typing import Any

from spotwise.cost_models.offer import Market, Offer, Pool

from ..accounting.ledger import Category, Charge
from ..core.remaining import ChanceOf, Remaining
from ..core.run import Attempt, AttemptState, CostBasis, Run, RunKind, RunState
from ..core.study import StudyRecord
from ..core.study_json import study_to_json

Row = Mapping[str, Any]


def offer_row(offer: Offer) -> dict[str, Any]:
    pool = offer.pool
    return {
        "cloud": pool.cloud,
        "region": pool.region,
        "zone": pool.zone,
        "instance_type": pool.instance_type,
        "pool_accelerators": pool.accelerators,
        "market": offer.market.value,
        "price_usd_per_hour": offer.price_usd_per_hour,
        "on_demand_usd_per_hour": offer.on_demand_usd_per_hour,
        "accelerator": offer.accelerator,
        "accelerator_count": offer.accelerator_count,
        "vcpus": offer.vcpus,
        "memory_gib": offer.memory_gib,
        "source": offer.source,
    }


def offer_of(row: Row) -> Offer:
    return Offer(
        pool=Pool(row["cloud"], row["region"], row["zone"], row["instance_type"], row["pool_accelerators"]),
        market=Market(row["market"]),
        price_usd_per_hour=row["price_usd_per_hour"],
        on_demand_usd_per_hour=row["on_demand_usd_per_hour"],
        accelerator=row["accelerator"],
        accelerator_count=row["accelerator_count"],
        vcpus=row["vcpus"],
        memory_gib=row["memory_gib"],
        source=row["source"],
    )


def run_row(run: Run) -> dict[str, Any]:
    return {**_plain(run), "kind": run.kind.value, "state": run.state.value}


def run_of(row: Row) -> Run:
    return Run(**{**_known(row, Run), "kind": RunKind(row["kind"]), "state": RunState(row["state"])})


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    values = _plain(attempt, without={"offer"})
    return {
        **values,
        **offer_row(attempt.offer),
        "state": attempt.state.value,
        "cost_basis": attempt.cost_basis.value,
    }


def attempt_of(row: Row) -> Attempt:
    values = _known(row, Attempt)
    state, basis = AttemptState(row["state"]), CostBasis(row["cost_basis"])
    return Attempt(**{**values, "offer": offer_of(row), "state": state, "cost_basis": basis})


def charge_row(charge: Charge) -> dict[str, Any]:
    values = _plain(charge, without={"offer"})
    return {
        **values,
        **offer_row(charge.offer),
        "category": charge.category.value,
        "cost_basis": charge.cost_basis.value,
    }


def charge_of(row: Row) -> Charge:
    values = _known(row, Charge)
    category, basis = Category(row["category"]), CostBasis(row["cost_basis"])
    return Charge(**{**values, "offer": offer_of(row), "category": category, "cost_basis": basis})


def study_row(study: StudyRecord) -> dict[str, Any]:
    """But for its id, which never changes."""
    record = json.dumps(study_to_json(study))
    return {"job_name": study.job_name, "created_at": study.created_at, "record": record}


def remaining_row(remaining: Remaining) -> dict[str, Any]:
    return {**_plain(remaining), "chance_of": None if remaining.chance_of is None else remaining.chance_of.value}


def rest_of(row: Row) -> Remaining:
    of = row["chance_of"]
    return Remaining(**{**_known(row, Remaining), "chance_of": None if of is None else ChanceOf(of)})


def _plain(value: Any, *, without: Set[str] = frozenset()) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name not in without}


def _known(row: Row, kind: type[Any]) -> dict[str, Any]:
    return {f.name: row[f.name] for f in fields(kind) if f.name in row}
