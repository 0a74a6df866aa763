"""Values to rows and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Table
from sqlalchemy.types import TypeDecorator

from spotwise.cost_models.offer import Market, Offer, Pool

from ..accounting.ledger import Category, Charge
from ..core.remaining import ChanceOf, Remaining
from ..core.run import Attempt, AttemptState, CostBasis, Run, RunKind, RunState
from ..core.study import StudyRecord
from ..core.study_json import study_to_json
from ..node_agent.end_cause import EndCause
from . import tables
from .types import Damaged

Row = Mapping[str, Any]
Value = TypeVar("Value")

_TABLES: dict[type[Any], Table] = {
    Run: tables.runs,
    Attempt: tables.attempts,
    Charge: tables.charges,
    Remaining: tables.remaining_table,
}
_SEEN_TYPES: dict[type[Any], set[tuple[type[Any], ...]]] = {}  # of rows that could be read


class UnreadableRowError(ValueError):
    """A row of the store does not hold what its table says."""


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


def run_in(row: Row) -> Run:
    """The run in a row of its table. Raises UnreadableRowError."""
    return read_row(Run, row, run_of)


def attempt_in(row: Row) -> Attempt:
    """The attempt in a row of its table. Raises UnreadableRowError."""
    return read_row(Attempt, row, attempt_of)


def charge_in(row: Row) -> Charge:
    """The charge in a row of its table. Raises UnreadableRowError."""
    return read_row(Charge, row, charge_of)


def remaining_in(row: Row) -> Remaining:
    """What is left of a run, in a row of its table. Raises UnreadableRowError."""
    return read_row(Remaining, row, remaining_of)


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


def read_row(kind: type[Value], row: Row, decode: Callable[[Row], Value]) -> Value:
    """The value in a row.

    Raises:
        UnreadableRowError: a cell holds what no such value has: another program wrote it, or it is damaged.
    """
    try:
        value = decode(row)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise UnreadableRowError(_damaged_cells(kind, row) or f"{type(error).__name__}: {error}") from error
    if tuple(map(type, row.values())) not in _SEEN_TYPES.setdefault(kind, set()):  # asked of each row, so it is quick
        wrong = _damaged_cells(kind, row)
        if wrong:
            raise UnreadableRowError(wrong)
        _SEEN_TYPES[kind].add(tuple(map(type, row.values())))
    return value


def _damaged_cells(kind: type[Any], row: Row) -> str:
    """The cells of another type than their column has, for people; "" without any."""
    wrong = [
        f"{name} is {found.found if isinstance(found, Damaged) else found!r}"
        for name, found in row.items()
        if isinstance(found, Damaged) or not _fits(found, _column_types(kind).get(name))
    ]
    return ", ".join(wrong)


def _column_types(kind: type[Any]) -> Mapping[str, type[Any] | None]:
    columns = _TABLES[kind].c
    return {c.name: None if isinstance(c.type, TypeDecorator) else c.type.python_type for c in columns}


def _fits(found: Any, expected: type[Any] | None) -> bool:
    if found is None or expected is None:
        return True
    if expected is float:
        return isinstance(found, int | float) and math.isfinite(found)
    return isinstance(found, expected)


def _value(member: StrEnum | None) -> str | None:
    return None if member is None else member.value


def _plain(value: Any, *, without: Set[str] = frozenset()) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name not in without}


def _known(row: Row, kind: type[Any]) -> dict[str, Any]:
    return {f.name: row[f.name] for f in fields(kind) if f.name in row}
