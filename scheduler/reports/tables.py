"""The report's tables as plain text cells: the terminal and the HTML page draw the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..core.deadline import DeadlineState
from ..core.run import RunState
from ..core.text import counted
from .formats import NOTHING, Usd, hours, label, number, percent, signed_percent, when, yes_no
from .report import BudgetState, RunLine, Section, Spend, SpendNode, StudyCost

_IN_TIME = {DeadlineState.MET: "yes", DeadlineState.MISSED: "no", DeadlineState.IN_DANGER: "unlikely"}
_BUDGET_TONE = {BudgetState.OVER: "bad", BudgetState.AT_RISK: "warn", BudgetState.WITHIN: "good"}
NOT_SUPERVISED = "not supervised"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a cell for each column, how deep it is indented, and its tone."""

    cells: tuple[str, ...]
    depth: int = 0
    tone: str = ""  # "", "strong", "good", "warn" or "bad"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: text columns (``left``), then figures (``right``)."""

    key: str  # stable name, used as anchor and in the documentation
    title: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    lines: tuple[Line, ...]
    note: str = ""


def spend_grid(section: Section, usd: Usd, *, levels: int = 3) -> Grid:
    """The tree down to jobs (3 levels) or trials (4)."""
    lines = [
        Line((node.name, *_spend_cells(node.spend, usd)), depth, "strong" if depth == 0 else "")
        for node, depth in _walk(section.teams, levels)
    ]
    names = ("team", "project", "job", "trial")[:levels]
    return Grid(
        key="spend" if levels < 4 else "spend-by-trial",
        title="Spend" if levels < 4 else "Spend down to trials",
        left=(" > ".join(names),),
        right=("booked", "running", "hours", "saved", "saved %"),
        lines=(*lines, Line(("total", *_spend_cells(section.total, usd)), 0, "strong")),
    )


def _spend_cells(spend: Spend, usd: Usd) -> tuple[str, ...]:
    saved = usd(spend.saved_usd) if spend.saved_share is not None else NOTHING
    return (
        *(usd(spend.booked_usd), _unless_zero(spend.running_usd, usd), hours(spend.hours)),
        *(saved, percent(spend.saved_share)),
    )


def _unless_zero(amount: Decimal, usd: Usd) -> str:
    return usd(amount) if amount else NOTHING


def _walk(nodes: Iterable[SpendNode], levels: int, depth: int = 0) -> Iterator[tuple[SpendNode, int]]:
    for node in nodes:
        yield node, depth
        if depth + 1 < levels:
            yield from _walk(node.children, levels, depth + 1)


def budget_grid(section: Section, usd: Usd) -> Grid:
    """Every budget with its spend, forecast and state."""
    return Grid(
        key="budgets",
        title="Budgets",
        left=("budget of",),
        right=("budget", "booked", "running", "forecast", "method", "state"),
        lines=tuple(
            Line(
                (
                    *(f"{line.scope} {line.name}", usd(line.budget_usd), usd(line.booked_usd)),
                    *(_unless_zero(line.running_usd, usd), usd(line.forecast_usd)),
                    *(label(line.forecast), label(line.state)),
                ),
                tone=_BUDGET_TONE.get(line.state, ""),
            )
            for line in section.budgets
        ),
        note=(
            "Teams: this calendar month (UTC). runs = booked + running + what plans of open runs still predict; "
            "linear = this month's rate carried on, never below runs; final = the run has ended."
        ),
    )


def category_grid(section: Section, usd: Usd) -> Grid:
    """What each category cost."""
    return Grid(
        key="categories",
        title="What the money bought",
        left=("category",),
        right=("booked", "share"),
        lines=tuple(Line((label(c.category), usd(c.usd), percent(c.share))) for c in section.total.categories),
    )


def market_grid(section: Section, usd: Usd) -> Grid:
    """What each cloud and market cost, beside the same hours on demand."""
    apart = section.total.not_comparable_usd
    return Grid(
        key="markets",
        title="Savings by market",
        left=("cloud", "market"),
        right=("attempts", "hours", "booked", "share", "on demand", "saved", "saved %"),
        lines=tuple(
            Line(
                (
                    *(row.cloud, label(row.market), str(row.attempts), hours(row.spend.hours)),
                    *(usd(row.spend.booked_usd), percent(row.share), _unless_zero(row.spend.on_demand_usd, usd)),
                    *_spend_cells(row.spend, usd)[3:],
                )
            )
            for row in section.markets
        ),
        note=f"Not comparable, because nobody sells it on demand: {usd(apart)}." if apart else "",
    )


def basis_grid(section: Section, usd: Usd) -> Grid:
    """What was booked on each cost basis."""
    lines = tuple(Line((label(row.basis), usd(row.usd))) for row in section.bases)
    return Grid("bases", "Cost basis", ("basis",), ("booked",), lines)


def run_grid(section: Section, usd: Usd) -> Grid:
    """Every run, newest first."""
    return Grid(
        key="runs",
        title="Runs",
        left=("run", "state"),
        right=("attempts", "preempted", "work kept", "in time", "booked", "saved %"),
        lines=tuple(
            Line(
                (
                    *(run.run_id, _state_cell(run), str(run.attempts), str(run.preemptions)),
                    *(percent(run.work_kept_share), in_time(run.deadline_state)),
                    *(usd(run.spend.booked_usd), percent(run.spend.saved_share)),
                ),
                tone=_state_tone(run),
            )
            for run in section.runs
        ),
    )


def _state_tone(run: RunLine) -> str:
    if run.state is RunState.FAILED or run.unsupervised_since:
        return "bad"
    return "warn" if run.incomplete else ""


def _state_cell(run: RunLine) -> str:
    beside = [NOT_SUPERVISED] if run.unsupervised_since else ["incomplete"] if run.incomplete else []
    return ", ".join([label(run.state), *beside])


def in_time(state: DeadlineState | None) -> str:
    """How a run stands against its deadline; a dash without one, and while it may well be met."""
    return NOTHING if state is None else _IN_TIME.get(state, NOTHING)


def code_grid(section: Section, usd: Usd) -> Grid:
    """Which code each run executes."""
    lines = tuple(Line((run.run_id, run.code)) for run in section.runs if run.code)
    return Grid("code", "Code", ("run", "code"), (), lines)


def outcome_grid(section: Section, usd: Usd) -> Grid:
    """How attempts ended, and what they cost."""
    lines = tuple(Line((label(row.state), str(row.attempts), usd(row.usd))) for row in section.outcomes)
    return Grid("outcomes", "Attempts by outcome", ("outcome",), ("attempts", "cost"), lines)


def prediction_grid(section: Section, usd: Usd) -> Grid:
    """Predicted beside actual cost, run by run."""
    found = section.coverage
    told = f"{found.inside} of {counted(found.judged, 'completed run')} cost what was predicted (10-90% interval)."
    return Grid(
        key="predictions",
        title="Predicted and actual cost",
        left=("run",),
        right=("10%", "expected", "90%", "actual", "off by", "inside"),
        lines=tuple(
            Line(
                (
                    *(row.run_id, usd(row.low_usd), usd(row.expected_usd), usd(row.high_usd), usd(row.actual_usd)),
                    *(signed_percent(row.error_share), "open" if row.inside is None else yes_no(row.inside)),
                )
            )
            for row in section.predictions
        ),
        note=told if found.judged else "No completed run to judge yet.",
    )


def sweep_grid(section: Section, usd: Usd) -> Grid:
    """What the trials of each sweep cost."""
    return Grid(
        key="sweeps",
        title="Sweeps",
        left=("run",),
        right=("trials", "done", "pruned", "failed", "resumes", "median", "dearest", "all", "no trial"),
        lines=tuple(
            Line(
                (
                    *(s.run_id, str(len(s.trials)), str(s.completed), str(s.pruned), str(s.failed), str(s.resumes)),
                    *(usd(s.median_usd), usd(s.dearest.usd if s.dearest else None)),
                    *(usd(s.trials_usd), usd(s.shared_usd)),
                )
            )
            for s in section.studies
        ),
    )


def past_grid(section: Section, usd: Usd) -> Grid:
    """What past studies are estimated to have saved each sweep."""
    return Grid(
        key="past-studies",
        title="What past studies saved, in trials (estimated)",
        left=("run",),
        right=("studies", "with", "without", "saved", "10-90%", "planned", "saved USD"),
        lines=tuple(
            Line(
                (
                    *(row.run_id, str(row.studies), str(row.trials_with), f"{row.trials_without.expected:.0f}"),
                    f"{row.saved_trials.expected:.1f}",
                    f"{row.saved_trials.p10:.0f} to {row.saved_trials.p90:.0f}",
                    NOTHING if row.planned_trials is None else f"{row.planned_trials:.1f}",
                    usd(None if row.saved_usd is None else row.saved_usd.expected),
                ),
                tone="bad" if row.saved_trials.p90 < 0 else "",
            )
            for row in section.past_savings
        ),
        note="with = trials taken from past studies; without = trials that are as good without; below zero: a loss.",
    )


def trial_grid(study: StudyCost, usd: Usd, *, most: int | None = None) -> Grid:
    """Trials, dearest first: all, or the ``most`` dearest and the best."""
    shown = study.trials[:most]
    if study.best is not None and study.best not in shown:
        shown = (*shown, study.best)
    return Grid(
        key="trials",
        title=f"Trials of {study.run_id}, dearest first ({len(shown)} of {len(study.trials)})",
        left=("trial", "state", "from"),
        right=("epochs", "resumes", study.metric, "cost"),
        lines=tuple(
            Line(
                (
                    *(f"{t.number} (best)" if t == study.best else str(t.number), label(t.state), t.source),
                    *(str(t.epochs), str(t.resumes), number(t.value), usd(t.usd)),
                ),
                tone="strong" if t == study.best else "",
            )
            for t in shown
        ),
    )


def model_grid(section: Section, usd: Usd) -> Grid:
    """What each version of a model cost to train."""
    notes = (
        f"{m.model}: {usd(m.usd)} for {m.promoted} promoted"
        + (f", {usd(m.usd_per_promoted)} each" if m.usd_per_promoted is not None else "")
        for m in section.models
    )
    return Grid(
        key="models",
        title="Models",
        left=("model", "run", "metric"),
        right=("value", "champion", "promoted", "cost"),
        lines=tuple(
            Line(
                (
                    *(f"{v.model} v{v.version}", v.run_id, v.metric, number(v.value), number(v.champion_value)),
                    *(yes_no(v.promoted), usd(v.usd)),
                ),
                tone="strong" if v.promoted else "",
            )
            for model in section.models
            for v in model.versions
        ),
        note="; ".join(notes) + ".",
    )


def attempt_grid(section: Section, usd: Usd, *, most: int | None = None) -> Grid:
    """The timeline's numbers."""
    return Grid(
        key="attempts",
        title="Attempts",
        left=("attempt", "market", "where", "outcome"),
        right=("from", "to", "overhead", "lost", "epochs kept", "cost"),
        lines=tuple(
            Line(
                (
                    *(bar.attempt_id, label(bar.market), bar.place, label(bar.state)),
                    *(hours(bar.start_h), hours(bar.end_h)),
                    hours((bar.end_h if bar.work_h is None else bar.work_h) - bar.start_h),
                    hours(sum(end - start for start, end in bar.lost_h)) if bar.lost_h else NOTHING,
                    *(str(bar.epochs_kept), usd(bar.usd)),
                )
            )
            for row in section.timeline[:most]
            for bar in row.bars
        ),
        note="Hours are billed hours since the run was submitted.",
    )


def series_grid(section: Section, usd: Usd) -> Grid:
    """The month's booked money over time."""
    return Grid(
        key="over-time",
        title=f"Booked this month, by {section.over_time.step}",
        left=("until (UTC)",),
        right=("booked so far",),
        lines=tuple(Line((_moment(point.at, section), usd(point.usd))) for point in section.over_time.points),
    )


def _moment(at: datetime, section: Section) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if section.over_time.step == "10 seconds" else when(at)
