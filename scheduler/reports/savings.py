"""What the same work would have cost on demand: the honest yardstick for savings.

Spot hours are cheaper, but a preemption makes more of them: lost work is done again, and every further attempt starts
anew. On demand neither happens, so neither is credited here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from ..accounting.ledger import Category, Charge
from .report import NetSavings
from .spend import by_run


def net_savings(charges: Iterable[Charge]) -> NetSavings:
    """Savings net of what preemptions cost."""
    comparable = [charge for charge in charges if charge.on_demand_usd is not None]
    needed = sum((_needed_usd(mine) for mine in by_run(comparable).values()), Decimal(0))
    saved = needed - sum((charge.amount_usd for charge in comparable), Decimal(0))
    return NetSavings(needed, saved, float(saved / needed) if needed else None)


def _needed_usd(charges: Sequence[Charge]) -> Decimal:
    """The hours of one run that an uninterrupted one needs too: no lost work, and the first attempt's start only."""
    first = min(charges, key=lambda charge: charge.start).attempt_id
    return sum(
        (
            charge.on_demand_usd or Decimal(0)
            for charge in charges
            if charge.category is not Category.LOST_WORK
            and (charge.category is not Category.OVERHEAD or charge.attempt_id == first)
        ),
        Decimal(0),
    )
