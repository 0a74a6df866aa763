"""The report as one HTML file: no scripts, no requests, charts inline, everything that users name escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import count

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..accounting.ledger import Category
from ..core.text import counted
from . import tables
from .charts import Row, budget_bars, prediction_dots, spend_rows, stacked_bars
from .formats import Usd, percent, when
from .report import BudgetState, Report, Section
from .summary import EMPTY, left_out, month_name, summary
from .tables import Grid
from .timecharts import series_chart, timeline_chart

MOST_LANES = 20  # of the timeline: the newest runs; older ones stand in the table of runs
MOST_BARS = 12


@dataclass(frozen=True, slots=True)
class Card:
    """A headline figure."""

    name: str
    figure: str
    note: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart or a table, or both: then the table gives the chart's numbers."""

    key: str
    title: str
    lead: str = ""
    legend: str = ""  # "categories", "timeline", "budgets" or "predictions"
    chart: Markup | None = None
    grids: tuple[Grid, ...] = ()
    folded: tuple[Grid, ...] = ()  # shown on request
    place: str = "middle"  # "top" and "bottom" are as wide as the page, "middle" is in two columns


def render_html(report: Report, refresh_s: int | None = None) -> str:
    """The whole page. With ``refresh_s`` a browser loads it again after so many seconds."""
    here = files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(here.joinpath("report.html.j2").read_text("utf-8"))
    keys = (f"chart-{n}" for n in count(1))
    return template.render(
        title=f"Cost report, {month_name(report.month)}",
        made=when(report.generated_at),
        empty=EMPTY,
        left_out=left_out(report),
        css=Markup(here.joinpath("report.css").read_text("utf-8")),  # noqa: S704 - our own file
        refresh_s=refresh_s,
        categories=[category.value for category in Category],
        parts=[
            {"section": s, "summary": summary(s), "cards": list(_cards(s)), "panels": list(_panels(s, keys))}
            for s in report.sections
        ],
    )


def _cards(section: Section) -> Iterator[Card]:
    usd, total = Usd.for_section(section), section.total
    running = f"and {usd(total.running_usd)} running" if total.running_usd else "nothing is running"
    yield Card("Booked", usd(total.booked_usd), running)
    yield Card("Saved against on demand", percent(section.net.share), _saved(section, usd))
    yield Card("Work kept", percent(section.work_kept_share), f"through {counted(section.preemptions, 'preemption')}")
    productive = next(c for c in total.categories if c.category is Category.PRODUCTIVE)
    yield Card("Spent on work that counts", percent(productive.share), f"{usd(productive.usd)} productive")
    judged = [line for line in section.budgets if line.state is not BudgetState.NO_BUDGET]
    held = sum(line.state is BudgetState.WITHIN for line in judged)
    tone = "good" if held == len(judged) else "warn"
    yield Card("Budgets that hold", f"{held} of {len(judged)}", "by forecast", tone if judged else "")
    found = section.coverage
    yield Card("Predictions that held", f"{found.inside} of {found.judged}", "completed runs, 10-90% interval")


def _saved(section: Section, usd: Usd) -> str:
    if section.net.share is None:
        return "nothing to compare with"
    by_hour = f"{percent(section.total.saved_share)} by the hour"
    return f"{usd(section.net.saved_usd)} net of preemptions; {by_hour}"


def _panels(section: Section, keys: Iterator[str]) -> Iterator[Panel]:
    """What the page shows, in order; panels without content are left out."""
    usd = Usd.for_section(section)
    candidates = (
        _timeline(section, usd, keys),
        _spend(section, usd, keys),
        _categories(section, usd, keys),
        _budgets(section, usd, keys),
        _over_time(section, usd, keys),
        _predictions(section, usd, keys),
        _markets(section, usd),
        _sweeps(section, usd),
        _models(section, usd),
        _runs(section, usd),
    )
    for panel in candidates:
        if panel.chart is not None or any(grid.lines for grid in panel.grids):
            yield panel


def _timeline(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    rows = section.timeline[:MOST_LANES]
    older = len(section.timeline) - len(rows)
    return Panel(
        "timeline",
        "How the runs went",
        "Each bar is an attempt; after a preemption the next one continues from the last checkpoint."
        + (f" The newest {len(rows)} runs; {older} older ones are in the table of runs." if older else ""),
        legend="timeline",
        chart=timeline_chart(next(keys), rows, usd) if rows else None,
        folded=(tables.attempt_grid(section, usd, most=MOST_LANES), tables.outcome_grid(section, usd)),
        place="top",
    )


def _spend(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    rows = spend_rows(section.teams)
    rows = sorted(rows, key=lambda row: row.spend.total_usd, reverse=True)[:MOST_BARS]
    return Panel(
        "spend",
        "Who spent it",
        "By team and project, coloured by what the money bought.",
        legend="categories",
        chart=stacked_bars(next(keys), "Spend by team and project", rows, usd) if rows else None,
        grids=(tables.spend_grid(section, usd),),
        folded=(tables.spend_grid(section, usd, levels=4),),
    )


def _categories(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    by_market = [Row(f"{m.cloud} / {m.market.value.replace('_', ' ')}", m.spend) for m in section.markets]
    rows = [Row("everything", section.total), *by_market]
    booked = section.total.booked_usd
    return Panel(
        "categories",
        "What the money bought",
        "Work that counts, and what spot capacity costs besides: lost work, set-up, idle shares.",
        legend="categories",
        chart=stacked_bars(next(keys), "Spend by category", rows, usd) if booked else None,
        grids=(tables.category_grid(section, usd),) if booked else (),
        folded=(tables.basis_grid(section, usd),),
    )


def _budgets(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    drawn = [line for line in section.budgets if line.budget_usd][:MOST_BARS]
    return Panel(
        "budgets",
        "Budgets",
        "Each budget is 100%. The diamond marks the forecast.",
        legend="budgets",
        chart=budget_bars(next(keys), drawn, usd) if drawn else None,
        grids=(tables.budget_grid(section, usd),),
    )


def _over_time(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    series = section.over_time
    return Panel(
        "over-time",
        "Spend over time",
        "Booked this calendar month (UTC), cumulative, against the budget of all teams together.",
        chart=series_chart(next(keys), series, usd) if series.points else None,
        folded=(tables.series_grid(section, usd),),
    )


def _predictions(section: Section, usd: Usd, keys: Iterator[str]) -> Panel:
    rows = section.predictions[:MOST_BARS]
    return Panel(
        "predictions",
        "Predicted and actual cost",
        "The band is the predicted 10-90% interval, the line what was expected (100%), the dot what it cost.",
        legend="predictions",
        chart=prediction_dots(next(keys), rows, usd) if rows else None,
        grids=(tables.prediction_grid(section, usd),),
    )


def _runs(section: Section, usd: Usd) -> Panel:
    grids, folded = (tables.run_grid(section, usd),), (tables.code_grid(section, usd),)
    return Panel("runs", "Runs", grids=grids, folded=folded, place="bottom")


def _markets(section: Section, usd: Usd) -> Panel:
    lead = "What the same hours would have cost on demand, by cloud and market."
    return Panel("markets", "Savings", lead, grids=(tables.market_grid(section, usd),), place="bottom")


def _sweeps(section: Section, usd: Usd) -> Panel:
    return Panel(
        "sweeps",
        "Sweeps",
        "What trials cost. Capacity that no trial held is a figure of its own.",
        grids=(tables.sweep_grid(section, usd), tables.past_grid(section, usd)),
        folded=tuple(tables.trial_grid(study, usd) for study in section.studies),
        place="bottom",
    )


def _models(section: Section, usd: Usd) -> Panel:
    lead = "What each registered version cost to train, and whether the gate promoted it."
    return Panel("models", "Models", lead, grids=(tables.model_grid(section, usd),), place="bottom")
