"""Charts over time: the attempts of each run, and money against the month's budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from markupsafe import Markup

from ..core.run import AttemptState
from .charts import WIDTH
from .formats import Usd, hours, label, when
from .report import Bar, SpendSeries, TimelineRow
from .svg import bar, drawing, element, fits, line, text, ticks

TIMELINE_WIDTH = 1080.0
LEFT = 190.0  # of the timeline: names of runs
LANE = 54.0
TOP = 10.0
_ENDS = {AttemptState.COMPLETED: "\N{CHECK MARK}", AttemptState.FAILED: "\N{MULTIPLICATION X}"}
_TAKEN = (AttemptState.PREEMPTED, AttemptState.LOST)


def timeline_chart(key: str, rows: Sequence[TimelineRow], usd: Usd) -> Markup:
    """One lane a run: its attempts since it was submitted, coloured by market, with preemptions and lost work."""
    top = max((row.end_h for row in rows), default=0.0) or 1.0
    deadlines = [row.deadline_h for row in rows if row.deadline_h is not None and row.deadline_h <= top * 1.4]
    scale = (TIMELINE_WIDTH - LEFT - 24) / (max([top, *deadlines]) * 1.01)
    height = TOP + len(rows) * LANE + 34
    parts = [part for tick in ticks((TIMELINE_WIDTH - LEFT - 24) / scale, 10) for part in _hour(tick, scale, height)]
    parts.append(text(LEFT, height - 2, "billed hours since the run was submitted", "axis"))
    for n, row in enumerate(rows):
        parts += _lane(row, TOP + n * LANE, scale, usd)
    told = "; ".join(f"{row.run_id}: {_story(row)}" for row in rows)
    return drawing(key, TIMELINE_WIDTH, height, parts, title="Attempts of each run over time", description=told)


def _hour(tick: float, scale: float, height: float) -> list[Markup]:
    x = LEFT + tick * scale
    return [line(x, TOP, x, height - 32, "grid"), text(x, height - 18, f"{tick:g} h", "axis", "middle")]


def _story(row: TimelineRow) -> str:
    steps = (f"{label(b.market)} in {b.place}, {label(b.state)} after {hours(b.end_h - b.start_h)}" for b in row.bars)
    return ", then ".join(steps)


def _lane(row: TimelineRow, y: float, scale: float, usd: Usd) -> list[Markup]:
    middle = y + 27
    parts = [
        text(0, y + 24, _shortened(row.job_name), "label"),
        text(0, y + 39, f"{when(row.submitted_at)}, {label(row.state)}", "axis"),
        line(LEFT, middle, LEFT + row.end_h * scale, middle, "wait"),
    ]
    if row.deadline_h is not None and LEFT + row.deadline_h * scale <= TIMELINE_WIDTH - 10:
        x = LEFT + row.deadline_h * scale
        parts += [line(x, y + 10, x, y + 44, "deadline"), text(x - 4, y + 41, "deadline", "axis", "end")]
    for attempt in row.bars:
        parts += _attempt(attempt, y, scale, usd)
    return parts


def _shortened(name: str, most: int = 27) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _attempt(attempt: Bar, y: float, scale: float, usd: Usd) -> Iterator[Markup]:
    """Set-up pale, work solid, lost work hatched over it, and how it ended."""
    start, end = LEFT + attempt.start_h * scale, LEFT + attempt.end_h * scale
    work = end if attempt.work_h is None else LEFT + attempt.work_h * scale
    market = f"m-{attempt.market.value}"
    what = f"{attempt.place}, {label(attempt.market)}, {label(attempt.state)}"
    told = f"attempt {attempt.number}: {what}, {usd(attempt.usd)}"
    yield bar(start, y + 16, max(work - start, 0.0), 22, f"{market} setup", hint=f"set-up and restore; {told}")
    yield bar(work, y + 16, max(end - work, 1.5), 22, market, hint=told)
    for lost_start, lost_end in attempt.lost_h:
        x = LEFT + lost_start * scale
        yield bar(x, y + 16, max((lost_end - lost_start) * scale, 2.0), 22, "lost-work", hint=f"lost work; {told}")
    clear = min([end, *(LEFT + lost_start * scale for lost_start, _ in attempt.lost_h)])
    for words in (f"{attempt.number}  {attempt.place}", str(attempt.number)):
        if fits(words, clear - work):
            yield text(work + 6, y + 31, words, "inside on-market")
            break
    yield from _end_mark(attempt, end, y)


def _end_mark(attempt: Bar, x: float, y: float) -> Iterator[Markup]:
    if attempt.state in _TAKEN:
        yield line(x, y + 12, x, y + 40, "preempted")
        yield element(
            "path",
            element("title", label(attempt.state)),
            d=f"M{x - 5:.1f} {y + 5:.1f}h10l-5 8Z",
            class_="preemption",
        )
    elif attempt.state in _ENDS:
        yield text(x + 5, y + 32, _ENDS[attempt.state], f"end-{attempt.state.value}")
    elif not attempt.state.is_final:
        yield element("path", d=f"M{x:.1f} {y + 16:.1f}l9 11l-9 11Z", class_=f"m-{attempt.market.value}")


def series_chart(key: str, series: SpendSeries, usd: Usd) -> Markup:
    """Booked money adding up over the month. The budget's line is drawn where it fits the scale."""
    height, left, bottom = 230.0, 52.0, 204.0
    most = float(series.points[-1].usd) if series.points else 0.0
    budget = float(series.budget_usd) if series.budget_usd is not None else None
    top = max(most, budget if budget is not None and budget <= most * 4 else 0.0) * 1.08 or 1.0
    first, last = series.points[0].at, series.points[-1].at

    def place(at: datetime, amount: float) -> tuple[float, float]:
        across = (at - first) / (last - first) if last > first else 1.0
        return left + across * (WIDTH - left - 6), bottom - amount / top * (bottom - 14)

    parts = [part for tick in ticks(top) for part in _level(tick, place(first, tick), usd)]
    dots = [place(point.at, float(point.usd)) for point in series.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
    parts.append(
        element("path", d=f"{path}L{dots[-1][0]:.1f} {bottom:.1f}L{dots[0][0]:.1f} {bottom:.1f}Z", class_="area")
    )
    parts.append(element("path", d=path, class_="curve"))
    if budget is not None and budget <= top:
        _, y = place(first, budget)
        parts += [
            line(left, y, WIDTH - 6, y, "limit"),
            text(left + 6, y - 5, f"budget {usd(series.budget_usd)}", "figure"),
        ]
    parts += [
        text(left, height - 8, _day(first, series), "axis"),
        text(WIDTH - 6, height - 8, _day(last, series), "axis", "end"),
        element("circle", cx=dots[-1][0], cy=dots[-1][1], r=3.5, class_="end"),
        text(dots[-1][0] - 8, dots[-1][1] - 7, usd(series.points[-1].usd), "label", "end"),
    ]
    told = f"{usd(series.points[-1].usd)} booked by {when(last)} UTC"
    return drawing(key, WIDTH, height, parts, title="Booked money over the month", description=told)


def _level(tick: float, at: tuple[float, float], usd: Usd) -> list[Markup]:
    x, y = at
    return [line(x, y, WIDTH - 6, y, "grid"), text(x - 6, y + 4, usd.axis(tick), "axis", "end")]


def _day(moment: datetime, series: SpendSeries) -> str:
    clock = "" if series.step == "day" else moment.strftime(" %H:%M")
    return f"{moment.day} {moment:%B}{clock}"
