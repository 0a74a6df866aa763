"""What a team's calendar month has cost so far, and what its active runs have set aside beyond that. Pure.

One arithmetic for all who ask: a run's admission, the supervisor that watches over it, and the report. Money counts in
the month its charges fall into: a run that goes on over the month's end takes of both months, each for its own time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from ..core.run import Attempt, CostBasis, Run
from .ledger import cost_of

_ZERO = Decimal(0)


class Money(StrEnum):
    """Kinds of money that must never be added up."""

    REAL = "real"  # estimated from list prices, or reconciled with the provider's bill
    EMULATED = "emulated"  # prices of an emulated market: nobody pays them


@dataclass(frozen=True, slots=True)
class TeamMonth:
    """One kind of a team's money, in one calendar month (UTC)."""

    booked_usd: Decimal = _ZERO  # charges of the month
    running_usd: Decimal = _ZERO  # what attempts that have not ended have cost in the month so far
    reserved_usd: Mapping[str, Decimal] = field(default_factory=dict)  # by active run: what it has set aside and not
    # cost yet
    live: tuple[Attempt, ...] = ()  # attempts that have not ended

    @property
    def spent_usd(self) -> Decimal:
        return self.booked_usd + self.running_usd

    @property
    def committed_usd(self) -> Decimal:
        """Spent, or set aside by runs that are active."""
        return self.spent_usd + sum(self.reserved_usd.values(), _ZERO)

    def left_for(self, run_id: str, budget_usd: Decimal) -> Decimal:
        """What one run may still take of the budget: all but what is spent, and what others have set aside."""
        return budget_usd - self.committed_usd + self.reserved_usd.get(run_id, _ZERO)


def team_month(
    runs: Iterable[Run],
    attempts: Sequence[Attempt],
    *,
    booked_usd: Decimal,
    booked_by_run: Mapping[str, Decimal],
    now: datetime,
) -> TeamMonth:
    """A team's month, of one kind of money only.

    Args:
        runs: the team's runs; those that have ended set nothing aside.
        attempts: at least those of these runs that have not ended.
        booked_usd: charges of the month, of runs that have ended too.
        booked_by_run: all charges of each active run, of earlier months too.
    """
    active = [run for run in runs if not run.state.is_final]
    live = tuple(attempt for attempt in attempts if not attempt.state.is_final)
    cost = {run.id: booked_by_run.get(run.id, _ZERO) for run in active}
    for attempt in live:
        if attempt.run_id in cost:
            cost[attempt.run_id] += cost_of(attempt, now)
    return TeamMonth(
        booked_usd=booked_usd,
        running_usd=running_usd(live, now, since=month_of(now)[0]),
        reserved_usd={run.id: max(run.reserved_usd - cost[run.id], _ZERO) for run in active},
        live=live,
    )


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """First moment of this calendar month and of the next, UTC."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def running_usd(attempts: Iterable[Attempt], now: datetime, *, since: datetime | None = None) -> Decimal:
    """What attempts that have not ended cost until ``now``, from ``since`` where that is later than the launch."""
    open_attempts = [a for a in attempts if not a.state.is_final]
    total = sum((cost_of(a, now) for a in open_attempts), _ZERO)
    return total if since is None else total - sum((cost_of(a, since) for a in open_attempts), _ZERO)


def money_of(basis: CostBasis) -> Money:
    """Which kind of money an amount on this basis is."""
    return Money.EMULATED if basis is CostBasis.EMULATED else Money.REAL


def money_of_run(run: Run, attempts: Sequence[Attempt]) -> Money:
    """Which kind a run spends: that of its newest attempt; before the first, that of its plan."""
    if attempts:
        return money_of(attempts[-1].cost_basis)
    return planned_money(run) or Money.REAL


def planned_money(run: Run) -> Money | None:
    """Which kind a run was planned with; None where its plan does not say so, as those of older versions."""
    try:
        plan = json.loads(run.plan_json)
        return money_of(CostBasis(plan["cost_basis"]))
    except (ValueError, KeyError, TypeError):
        return None
