"""Values to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import fields
from enum import StrEnum
from typing import Any

from spotwise.cost_models.offer import Market, Offer, Pool

from ..accounting.ledger import Category, Charge
from ..core.remaining import ChanceOf, Remaining
from ..core.run import Attempt, AttemptState, CostBasis, Run, RunKind, RunState
from ..core.study import StudyRecord
from ..core.study_json import study_to_json
from ..node_agent.end_cause import EndCause

Row = Mapping[str, Any]


def offer_row(offer: Offer) -> dict[str, Any]:
    """An offer as columns, for tables that hold one in each row."""
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
    """The offer in a row."""
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
    """A run as columns."""
    return {**_plain(run), "kind": run.kind.value, "state": run.state.value}


def run_of(row: Row) -> Run:
    """The run in a row."""
    return Run(**{**_known(row, Run), "kind": RunKind(row["kind"]), "state": RunState(row["state"])})


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt as columns, its offer included."""
    values = _plain(attempt, without={"offer"})
    return {
        **values,
        **offer_row(attempt.offer),
        "state": attempt.state.value,
        "end_cause": _value(attempt.end_cause),
        "cost_basis": attempt.cost_basis.value,
    }


def attempt_of(row: Row) -> Attempt:
    """The attempt in a row."""
    values = _known(row, Attempt)
    state, basis = AttemptState(row["state"]), CostBasis(row["cost_basis"])
    cause = None if row["end_cause"] is None else EndCause(row["end_cause"])
    return Attempt(**{**values, "offer": offer_of(row), "state": state, "end_cause": cause, "cost_basis": basis})


def charge_row(charge: Charge) -> dict[str, Any]:
    """A charge as columns, its offer included."""
    values = _plain(charge, without={"offer"})
    return {
        **values,
        **offer_row(charge.offer),
        "category": charge.category.value,
        "cost_basis": charge.cost_basis.value,
    }


def charge_of(row: Row) -> Charge:
    """The charge in a row."""
    values = _known(row, Charge)
    category, basis = Category(row["category"]), CostBasis(row["cost_basis"])
    return Charge(**{**values, "offer": offer_of(row), "category": category, "cost_basis": basis})


def study_row(study: StudyRecord) -> dict[str, Any]:
    """But for its id, which never changes."""
    record = json.dumps(study_to_json(study))
    return {"job_name": study.job_name, "created_at": study.created_at, "record": record}


def remaining_row(remaining: Remaining) -> dict[str, Any]:
    """What is left of a run, as columns."""
    return {**_plain(remaining), "market": _value(remaining.market), "chance_of": _value(remaining.chance_of)}


def remaining_of(row: Row) -> Remaining:
    """What is left of a run, from a row."""
    market = None if row["market"] is None else Market(row["market"])
    of = None if row["chance_of"] is None else ChanceOf(row["chance_of"])
    return Remaining(**{**_known(row, Remaining), "market": market, "chance_of": of})


def _value(member: StrEnum | None) -> str | None:
    return None if member is None else member.value


def _plain(value: Any, *, without: Set[str] = frozenset()) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name not in without}


def _known(row: Row, kind: type[Any]) -> dict[str, Any]:
    return {f.name: row[f.name] for f in fields(kind) if f.name in row}
