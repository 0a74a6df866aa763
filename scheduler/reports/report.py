"""What a report says, as values. Field names are the keys of ``spotwise report --json``.

Money is exact (``Decimal`` USD), shares are fractions of one, hours are billed node-hours. A report never adds emulated
to real money: each kind has a section of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from spotwise.cost_models.estimate import MoneyQuantiles, Quantiles
from spotwise.cost_models.offer import Market

from ..accounting.ledger import Category
from ..accounting.team_month import Money
from ..core.deadline import DeadlineState
from ..core.run import AttemptState, CostBasis, RunKind, RunState
from ..core.study import TrialState


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """What one category cost."""

    category: Category
    usd: Decimal
    share: float  # of the booked amount; 0 when nothing is booked


@dataclass(frozen=True, slots=True)
class Spend:
    """What a group of charges cost, and what the same hours would have cost on demand."""

    booked_usd: Decimal
    running_usd: Decimal  # of attempts that have not ended, until now; not in ``booked_usd``
    hours: Decimal
    on_demand_usd: Decimal  # of the comparable charges
    saved_usd: Decimal  # on demand less booked, of the comparable charges; negative when spot was dearer
    saved_share: float | None  # of ``on_demand_usd``; None when nothing is comparable
    not_comparable_usd: Decimal  # booked where nobody sells the same on demand
    categories: tuple[CategoryShare, ...]  # all six, in the ledger's order

    @property
    def total_usd(self) -> Decimal:
        return self.booked_usd + self.running_usd

    def usd(self, *categories: Category) -> Decimal:
        return sum((c.usd for c in self.categories if c.category in categories), Decimal(0))


@dataclass(frozen=True, slots=True)
class NetSavings:
    """Booked money against on-demand capacity that is never preempted, over the charges that can be compared."""

    uninterrupted_usd: Decimal  # on-demand price of the hours that such a run would have needed too
    saved_usd: Decimal  # that, less what was booked; negative when preemptions ate up the lower price
    share: float | None  # of ``uninterrupted_usd``; None when nothing can be compared


@dataclass(frozen=True, slots=True)
class SpendNode:
    """One line of the tree team > project > job > trial. A node's spend is the sum of its children's."""

    level: str  # "team", "project", "job" or "trial"
    name: str
    spend: Spend
    children: tuple[SpendNode, ...] = ()


@dataclass(frozen=True, slots=True)
class BasisTotal:
    """What was booked on one cost basis."""

    basis: CostBasis
    usd: Decimal


class BudgetState(StrEnum):
    """How a budget stands."""

    WITHIN = "within"
    AT_RISK = "at_risk"  # the forecast is over the budget
    OVER = "over"  # booked and running are over the budget
    NO_BUDGET = "no_budget"


class Forecast(StrEnum):
    """How a forecast was made."""

    RUNS = "runs"  # booked + running + what the plans of open runs still predict
    LINEAR = "linear"  # this month's rate carried on to the end of the month, never below RUNS
    FINAL = "final"  # the run has ended: nothing more will come


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget against what was spent and what is expected. Teams: this calendar month. Runs: the whole run."""

    scope: str  # "team" or "run"
    name: str
    budget_usd: Decimal | None
    booked_usd: Decimal
    running_usd: Decimal
    forecast_usd: Decimal
    forecast: Forecast
    state: BudgetState


@dataclass(frozen=True, slots=True)
class MarketShare:
    """What was booked at one cloud in one market."""

    cloud: str
    market: Market
    attempts: int  # that held capacity
    spend: Spend
    share: float  # of everything booked


@dataclass(frozen=True, slots=True)
class TrialCost:
    """What one trial cost, and what it gave."""

    number: int
    state: TrialState
    value: float | None
    epochs: int
    resumes: int
    usd: Decimal
    source: str  # "prior", "sampler" or "grid"


@dataclass(frozen=True, slots=True)
class StudyCost:
    """What a sweep's trials cost."""

    run_id: str
    job_name: str
    metric: str
    goal: str
    trials: tuple[TrialCost, ...]  # dearest first
    trials_usd: Decimal
    shared_usd: Decimal  # the host's own: no trial held the capacity
    median_usd: Decimal | None
    dearest: TrialCost | None
    best: TrialCost | None
    completed: int
    pruned: int
    failed: int
    resumes: int


@dataclass(frozen=True, slots=True)
class PastSaving:
    """What past studies are estimated to have saved a sweep that has ended. Below zero: what they cost."""

    run_id: str
    studies: int  # past studies that are still known
    trials_with: int  # taken from past studies
    trials_without: Quantiles  # that are expected to be as good without
    saved_trials: Quantiles
    usd_per_trial: Decimal | None  # booked, by its trials; None where nothing was
    saved_usd: MoneyQuantiles | None  # by that; None where it is unknown
    planned_trials: float | None  # what its plan expected to save; None where it could not tell


@dataclass(frozen=True, slots=True)
class VersionCost:
    """What training one version of a model cost."""

    model: str
    version: int
    run_id: str
    metric: str
    value: float | None
    champion_value: float | None
    promoted: bool
    reason: str
    created_at: datetime
    usd: Decimal


@dataclass(frozen=True, slots=True)
class ModelCost:
    """A registered model: all its retraining, over the versions that were promoted."""

    model: str
    versions: tuple[VersionCost, ...]  # newest first
    runs: int
    promoted: int
    usd: Decimal
    usd_per_promoted: Decimal | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plan predicted of a run, beside what it cost."""

    run_id: str
    job_name: str
    state: RunState
    low_usd: Decimal
    expected_usd: Decimal
    high_usd: Decimal
    actual_usd: Decimal  # booked + running
    inside: bool | None  # None until the run has completed: only finished work is judged
    error_share: float | None  # (actual - expected) / expected


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often completed runs cost what was predicted; an honest 10-90% interval holds about 80 % of them."""

    judged: int
    inside: int
    share: float | None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """The attempts that ended in one way, and what they cost."""

    state: AttemptState
    attempts: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as the table of runs shows it."""

    run_id: str
    job_name: str
    kind: RunKind
    owner: str
    team: str
    project: str
    state: RunState
    submitted_at: datetime
    ended_at: datetime | None
    deadline_at: datetime | None
    met_deadline: bool | None  # None without a deadline, or while it may still be met
    deadline_state: DeadlineState | None  # None without one
    attempts: int
    preemptions: int
    work_kept_share: float | None  # work that survived preemptions, of all work paid for
    spend: Spend
    end_reason: str
    unsupervised_since: datetime | None  # of a run that is open: nobody moves or stops what it may hold
    incomplete: bool  # it completed below the work that its job file states
    code: str  # which code it executes, and of which commit; "" where nobody knows


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt on the timeline; positions are billed hours since the run was submitted."""

    attempt_id: str
    number: int
    market: Market
    place: str  # cloud and zone
    state: AttemptState
    start_h: float
    work_h: float | None  # the training program started; None if it never did
    end_h: float
    lost_h: tuple[tuple[float, float], ...]  # intervals of lost work
    usd: Decimal
    epochs_kept: int  # in its last committed checkpoint


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One run on the timeline. Positions are billed hours since it was submitted."""

    run_id: str
    job_name: str
    state: RunState
    submitted_at: datetime
    deadline_h: float | None
    end_h: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """The booked money of the month until one moment."""

    at: datetime
    usd: Decimal  # booked until then


@dataclass(frozen=True, slots=True)
class SpendSeries:
    """Cumulative booked money of the month."""

    step: str  # "day", "hour", "minute" or "10 seconds"
    points: tuple[Point, ...]
    budget_usd: Decimal | None  # of all teams together


@dataclass(frozen=True, slots=True)
class Section:
    """Everything said about one kind of money."""

    money: Money
    notice: str  # what kind of money this is, in a sentence
    total: Spend
    month: Spend  # this calendar month's part
    bases: tuple[BasisTotal, ...]
    teams: tuple[SpendNode, ...]
    budgets: tuple[BudgetLine, ...]
    over_time: SpendSeries
    markets: tuple[MarketShare, ...]
    outcomes: tuple[OutcomeCount, ...]
    preemptions: int
    work_kept_share: float | None
    net: NetSavings  # against the same work on demand, never preempted
    studies: tuple[StudyCost, ...]
    past_savings: tuple[PastSaving, ...]  # sweeps that learned from past studies, newest first
    models: tuple[ModelCost, ...]
    predictions: tuple[Prediction, ...]
    coverage: Coverage
    runs: tuple[RunLine, ...]
    timeline: tuple[TimelineRow, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says, in any form."""

    generated_at: datetime
    month: str  # "2026-11": what "this month" means here, UTC
    sections: tuple[Section, ...]  # real money first; empty when there are no runs
    unreadable: tuple[str, ...] = ()  # ids of runs that are left out: their records are damaged
