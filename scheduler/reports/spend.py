"""Where the money went: totals, the tree team > project > job > trial, and the split by market. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from ..accounting.ledger import Category, Charge
from ..accounting.team_month import running_usd
from ..core.run import Attempt, CostBasis, Run, RunKind
from .data import ReportData
from .report import BasisTotal, CategoryShare, MarketShare, Spend, SpendNode

LEVELS = ("team", "project", "job", "trial")
UNNAMED = "(none)"  # a job that gave no team or project
_ZERO = Decimal(0)
Row = TypeVar("Row", Charge, Attempt)


def spend_of(charges: Iterable[Charge], running_usd: Decimal = _ZERO) -> Spend:
    """Add up charges; ``running_usd`` is carried beside them, never into them."""
    booked = hours = on_demand = comparable = _ZERO
    per_category = dict.fromkeys(Category, _ZERO)
    for charge in charges:
        booked += charge.amount_usd
        hours += charge.hours
        per_category[charge.category] += charge.amount_usd
        if charge.on_demand_usd is not None:
            comparable += charge.amount_usd
            on_demand += charge.on_demand_usd
    return Spend(
        booked_usd=booked,
        running_usd=running_usd,
        hours=hours,
        on_demand_usd=on_demand,
        saved_usd=on_demand - comparable,
        saved_share=float((on_demand - comparable) / on_demand) if on_demand else None,
        not_comparable_usd=booked - comparable,
        categories=tuple(CategoryShare(c, usd, share_of(usd, booked)) for c, usd in per_category.items()),
    )


def by_run(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Charges or attempts by the run they belong to; runs without any have an empty list."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.run_id].append(row)
    return groups


def share_of(part: Decimal, whole: Decimal) -> float:
    """A part of a whole as a fraction; 0 where the whole is nothing."""
    return float(part / whole) if whole else 0.0


def basis_totals(charges: Iterable[Charge]) -> tuple[BasisTotal, ...]:
    """Booked money by how far it can be trusted; only what occurs."""
    totals: dict[CostBasis, Decimal] = {}
    for charge in charges:
        totals[charge.cost_basis] = totals.get(charge.cost_basis, _ZERO) + charge.amount_usd
    return tuple(BasisTotal(basis, totals[basis]) for basis in CostBasis if basis in totals)


def market_shares(data: ReportData) -> tuple[MarketShare, ...]:
    """Spend by cloud and market, largest first."""
    booked = sum((c.amount_usd for c in data.charges), _ZERO)
    groups: dict[tuple[str, str], list[Charge]] = defaultdict(list)
    for charge in data.charges:
        groups[charge.offer.pool.cloud, charge.offer.market].append(charge)
    rows = [
        MarketShare(
            cloud=cloud,
            market=charges[0].offer.market,
            attempts=len({c.attempt_id for c in charges}),
            spend=(spend := spend_of(charges)),
            share=share_of(spend.booked_usd, booked),
        )
        for (cloud, _), charges in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.spend.booked_usd, row.cloud, row.market)))


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One charge, or one open attempt's running cost, and its place in the tree."""

    path: tuple[str, str, str, str]
    charge: Charge | None
    running_usd: Decimal = _ZERO


def spend_tree(data: ReportData) -> tuple[SpendNode, ...]:
    """Spend by team > project > job > trial, dearest first. Every charge is in exactly one leaf."""
    return _nodes(tuple(_leaves(data)), 0)


def _leaves(data: ReportData) -> Iterator[_Leaf]:
    runs = {run.id: run for run in data.runs}
    runs_of_job: dict[tuple[str, str, str], int] = defaultdict(int)
    for run in data.runs:
        runs_of_job[_job_path(run)] += 1
    for charge in data.charges:
        run = runs[charge.run_id]
        job = _job_path(run)
        yield _Leaf((*job, _leaf_name(run, charge, alone=runs_of_job[job] == 1)), charge)
    for attempt in data.attempts:
        if not attempt.state.is_final:
            run = runs[attempt.run_id]
            yield _Leaf((*_job_path(run), f"{run.id} (running)"), None, running_usd([attempt], data.now))


def _job_path(run: Run) -> tuple[str, str, str]:
    return (run.team or UNNAMED, run.project or UNNAMED, run.job_name)


def _leaf_name(run: Run, charge: Charge, *, alone: bool) -> str:
    """A trial's name, or the run's where there are no trials; with the run's id where the job has several runs."""
    if run.kind is not RunKind.SWEEP:
        return run.id
    name = "no trial" if charge.trial is None else f"trial {charge.trial}"
    return name if alone else f"{run.id} {name}"


def _nodes(leaves: Sequence[_Leaf], depth: int) -> tuple[SpendNode, ...]:
    if depth == len(LEVELS):
        return ()
    groups: dict[str, list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        groups[leaf.path[depth]].append(leaf)
    nodes = [
        SpendNode(
            level=LEVELS[depth],
            name=name,
            spend=spend_of(
                (leaf.charge for leaf in group if leaf.charge is not None),
                sum((leaf.running_usd for leaf in group), _ZERO),
            ),
            children=_nodes(group, depth + 1),
        )
        for name, group in groups.items()
    ]
    return tuple(sorted(nodes, key=lambda node: (-node.spend.total_usd, node.name)))
