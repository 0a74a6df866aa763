"""Charts of amounts: stacked bars, budgets, predictions. The page gives each chart's numbers as a table, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from ..core.run import RunState
from .formats import Usd, label, percent
from .report import BudgetLine, Prediction, Spend, SpendNode
from .svg import bar, drawing, element, fits, line, text, ticks

WIDTH = 520.0
ROW = 44.0
BAR = 16.0


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled bar."""

    name: str
    spend: Spend


def spend_rows(teams: Sequence[SpendNode]) -> list[Row]:
    """One bar a project, named with its team."""
    return [Row(f"{team.name} / {project.name}", project.spend) for team in teams for project in team.children]


def stacked_bars(key: str, title: str, rows: Sequence[Row], usd: Usd) -> Markup:
    """Money by category, one bar a row, all on one scale."""
    most = max((float(row.spend.total_usd) for row in rows), default=0.0) or 1.0
    parts = [part for n, row in enumerate(rows) for part in _stack(row, 4 + n * ROW, (WIDTH - 2) / most, usd)]
    told = "; ".join(f"{row.name}: {usd(row.spend.booked_usd)}" for row in rows)
    return drawing(key, WIDTH, max(len(rows), 1) * ROW + 4, parts, title=title, description=told)


def _stack(row: Row, y: float, scale: float, usd: Usd) -> list[Markup]:
    parts = [
        text(0, y + 11, row.name, "label"),
        text(WIDTH, y + 11, _total(row.spend, usd), "figure", "end"),
    ]
    x = 1.0
    for category in row.spend.categories:
        width = float(category.usd) * scale
        if width:
            hint = f"{label(category.category)}: {usd(category.usd)} ({percent(category.share)})"
            parts.append(bar(x, y + 18, width, BAR, f"c-{category.category.value}", hint=hint))
            shown = percent(category.share)
            if fits(shown, width):
                parts.append(text(x + width / 2, y + 30, shown, f"inside on-{category.category.value}", "middle"))
        x += width
    running = float(row.spend.running_usd) * scale
    if running:
        parts.append(
            bar(x, y + 18.5, running - 0.5, BAR - 1, "c-running", hint=f"running: {usd(row.spend.running_usd)}")
        )
    return parts


def _total(spend: Spend, usd: Usd) -> str:
    return usd(spend.booked_usd) + (f" + {usd(spend.running_usd)} running" if spend.running_usd else "")


def budget_bars(key: str, lines: Sequence[BudgetLine], usd: Usd) -> Markup:
    """Each budget as 100%: booked, running, and a diamond at the forecast."""
    rows = [row for row in lines if row.budget_usd]
    scale = (WIDTH - 2) / _budget_top(rows)
    height = len(rows) * ROW + 24
    parts = _percent_axis([tick for tick in (0.0, 0.5, 1.0, 1.5) if tick * scale <= WIDTH - 1], scale, 1, height)
    for n, row in enumerate(rows):
        parts += _budget(row, 2 + n * ROW, scale, usd)
    told = "; ".join(f"{row.name}: {usd(row.booked_usd)} of {usd(row.budget_usd)}, {label(row.state)}" for row in rows)
    return drawing(key, WIDTH, height, parts, title="Budgets, booked and forecast", description=told)


def _percent_axis(marks: Sequence[float], scale: float, zero: float, height: float) -> list[Markup]:
    """Percentages below and lines behind; none at 100%, where every row has a mark of its own."""
    parts = []
    for mark in marks:
        x = zero + mark * scale
        parts.append(text(x, height - 4, f"{mark:.0%}", "axis", _anchor(x)))
        if mark != 1.0:
            parts.append(line(x, 18, x, height - 18, "grid"))
    return parts


def _budget_top(rows: Sequence[BudgetLine]) -> float:
    """The axis' end: a little over 100%, up to 180% where a budget is overrun."""
    largest = max((_part(max(r.forecast_usd, r.booked_usd + r.running_usd), r) for r in rows), default=1.0)
    return min(max(1.08, largest + 0.05), 1.8)


def _part(amount: Decimal, row: BudgetLine) -> float:
    return float(amount / row.budget_usd) if row.budget_usd else 0.0


def _budget(row: BudgetLine, y: float, scale: float, usd: Usd) -> list[Markup]:
    booked, running = _part(row.booked_usd, row), _part(row.running_usd, row)
    forecast = min(_part(row.forecast_usd, row) * scale, WIDTH - 7) + 1
    end = WIDTH - 2
    told = f"{usd(row.booked_usd + row.running_usd)} of {usd(row.budget_usd)}, forecast {usd(row.forecast_usd)}"
    return [
        text(0, y + 11, f"{row.scope} {row.name}", "label"),
        text(WIDTH, y + 11, told, "figure", "end"),
        bar(1, y + 18, min(scale, end), BAR, "track"),
        bar(1, y + 18, min(booked * scale, end), BAR, f"b-{row.state.value}", hint=f"booked {usd(row.booked_usd)}"),
        bar(
            min(booked * scale, end) + 1, y + 18, min(running * scale, end - min(booked * scale, end)), BAR, "c-running"
        ),
        line(scale + 1, y + 15, scale + 1, y + 18 + BAR + 3, "limit"),
        element(
            "path", element("title", f"forecast {usd(row.forecast_usd)}"), d=_diamond(forecast, y + 26), class_="mark"
        ),
    ]


def _diamond(x: float, y: float, radius: float = 5.5) -> str:
    return f"M{x - radius:.1f} {y:.1f}L{x:.1f} {y - radius:.1f}L{x + radius:.1f} {y:.1f}L{x:.1f} {y + radius:.1f}Z"


def _anchor(x: float) -> str:
    return "start" if x < 20 else ("end" if x > WIDTH - 20 else "middle")


def prediction_dots(key: str, rows: Sequence[Prediction], usd: Usd) -> Markup:
    """Predicted interval against actual cost, each run relative to what was expected of it."""
    shown = [row for row in rows if row.expected_usd]
    top = min(
        max([2.0, *(_ratio(r.high_usd, r) * 1.05 for r in shown), *(_ratio(r.actual_usd, r) * 1.05 for r in shown)]),
        3.0,
    )
    scale = (WIDTH - 14) / top
    height = len(shown) * ROW + 24
    parts = _percent_axis(ticks(top, 6), scale, 6, height)
    for n, row in enumerate(shown):
        parts += _dot(row, 2 + n * ROW, scale, usd)
    told = "; ".join(f"{r.run_id}: {usd(r.actual_usd)}, predicted {usd(r.low_usd)} to {usd(r.high_usd)}" for r in shown)
    return drawing(key, WIDTH, height, parts, title="Predicted interval and actual cost of each run", description=told)


def _ratio(amount: Decimal, row: Prediction) -> float:
    return float(amount / row.expected_usd)


def _dot(row: Prediction, y: float, scale: float, usd: Usd) -> list[Markup]:
    low, high = (_ratio(amount, row) * scale + 6 for amount in (row.low_usd, row.high_usd))
    beyond = _ratio(row.actual_usd, row) * scale + 6 > WIDTH - 6
    actual = min(_ratio(row.actual_usd, row) * scale + 6, WIDTH - 7)
    kind = {True: "inside-interval", False: "outside-interval", None: "open-run"}[row.inside]
    hint = element("title", f"actual {usd(row.actual_usd)}")
    mark = (
        element("path", hint, d=f"M{actual - 5:.1f} {y + 20:.1f}l10 6l-10 6Z", class_=kind)
        if beyond
        else element("circle", hint, cx=actual, cy=y + 26, r=5.5, class_=kind)
    )
    so_far = " so far" if row.state is not RunState.COMPLETED else ""
    told = f"{usd(row.actual_usd)}{so_far}, expected {usd(row.expected_usd)}"
    return [
        text(0, y + 11, row.run_id, "label"),
        text(WIDTH, y + 11, told, "figure", "end"),
        bar(
            low,
            y + 22,
            min(high, WIDTH) - low,
            8,
            "interval",
            hint=f"10-90%: {usd(row.low_usd)} to {usd(row.high_usd)}",
        ),
        line(scale + 6, y + 19, scale + 6, y + 33, "limit"),
        mark,
    ]
