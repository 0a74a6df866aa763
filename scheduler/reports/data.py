"""What a report is made from: plain values that the store loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from ..accounting.ledger import Charge
from ..core.remaining import Remaining
from ..core.run import Attempt, Run
from ..core.study import StudyRecord


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One version of a registered model, as the gate judged it."""

    model: str
    version: int
    run_id: str  # the run that trained it
    metric: str
    value: float | None  # None: not reported, or not a number
    champion_value: float | None  # of the champion it was compared with; None for the first version
    promoted: bool
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything a report may look at.

    Attempts that have not ended have no charges yet; what they cost until ``now`` is shown apart, as running.
    """

    now: datetime
    runs: tuple[Run, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    charges: tuple[Charge, ...] = ()
    studies: tuple[StudyRecord, ...] = ()
    models: tuple[ModelRow, ...] = ()
    past: tuple[StudyRecord, ...] = ()  # that sweeps learned from, imported ones too
    remaining: Mapping[str, Remaining] = field(default_factory=dict)  # by open run: what was left, as last estimated
    incomplete: frozenset[str] = frozenset()  # ids of runs that completed below the work that their job files state
    unreadable: tuple[str, ...] = ()  # ids of runs that are left out with all that is theirs: the store is damaged
    unsupervised: Mapping[str, datetime] = field(default_factory=dict)  # by open run: since when nobody drives it
    team_budgets: Mapping[str, Decimal] = field(default_factory=dict)  # USD per calendar month (UTC)
