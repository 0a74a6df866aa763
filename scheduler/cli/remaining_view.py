"""What is left of a run, as people read it and as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from spotwise.cost_models.offer import Market

from ..core.deadline import DeadlineState, deadline_state
from ..core.money import json_usd, short_usd
from ..core.remaining import ChanceOf, Remaining
from ..core.run import Run

OLD = timedelta(minutes=2)  # an estimate says its age from here on
LABEL_WIDTH = 8
DEADLINE_STYLES = {
    DeadlineState.OPEN: "",
    DeadlineState.IN_DANGER: "yellow",
    DeadlineState.MET: "",
    DeadlineState.MISSED: "red",
}
_CHANCES = {
    ChanceOf.ON_DEMAND: "in time, if need be on demand from now on",
    ChanceOf.HELD: "in time where it is",
}


def remaining_lines(
    remaining: Remaining | None, deadline_at: datetime | None, state: DeadlineState | None, now: datetime
) -> Table | None:
    """The deadline with the chance to meet it, and the cost of the rest; None where there is neither."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    if deadline_at is not None:
        style = "" if state is None else DEADLINE_STYLES[state]
        grid.add_row("deadline", Text(_deadline(remaining, deadline_at - now, state), style=style))
    if remaining is not None:
        grid.add_row("rest", _cost(remaining, now - remaining.at))
    return grid if grid.row_count else None


def remaining_json(remaining: Remaining | None) -> dict[str, Any] | None:
    """Stable keys; docs/policies.md says what they mean."""
    if remaining is None:
        return None
    return {
        "at": remaining.at.isoformat(),
        "share_of_work": remaining.share,
        "offer": remaining.offer,
        "held": remaining.is_held,
        "expected_cost_usd": json_usd(remaining.expected_usd),
        "p10_cost_usd": json_usd(remaining.low_usd),
        "p90_cost_usd": json_usd(remaining.high_usd),
        "on_demand_cost_usd": json_usd(remaining.on_demand_usd),
        "chance_to_meet_deadline": remaining.chance_to_meet_deadline,
        "chance_of": None if remaining.chance_of is None else remaining.chance_of.value,
    }


def span(duration: timedelta) -> str:
    """Seconds, minutes or hours of wall clock."""
    seconds = int(duration.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def deadline_end_line(run: Run) -> str | None:
    """How a run that has ended stands against its deadline; None where it met it or has none."""
    if run.deadline_at is None or run.ended_at is None or deadline_state(run, None, run.ended_at) is DeadlineState.MET:
        return None
    late = run.ended_at - run.deadline_at
    return f"deadline missed by {span(late)}" if late > timedelta(0) else "deadline missed: not all work is done"


def _deadline(remaining: Remaining | None, left: timedelta, state: DeadlineState | None) -> str:
    when = f"in {span(left)}" if left >= timedelta(0) else f"{span(-left)} ago"
    if state is DeadlineState.MISSED:
        return f"{when}: missed"
    when += "; it will more likely be missed than met" if state is DeadlineState.IN_DANGER else ""
    if remaining is None:
        return when
    if remaining.chance_to_meet_deadline is None or remaining.chance_of is None:
        return f"{when}; the chance is unknown while nothing is held"
    return f"{when}: {_percent(remaining.chance_to_meet_deadline)} {_CHANCES[remaining.chance_of]}"


def _cost(remaining: Remaining, age: timedelta) -> str:
    where = f"on {remaining.offer}" + ("" if remaining.is_held else ", once it can be had")
    interval = f"(10-90 %: {short_usd(remaining.low_usd)}-{short_usd(remaining.high_usd)})"
    beside = (
        f"; {short_usd(remaining.on_demand_usd)} on demand"
        if remaining.on_demand_usd is not None and remaining.market is Market.SPOT
        else ""
    )
    old = f"; as of {span(age)} ago" if age > OLD else ""
    share = f"{_percent(remaining.share)} of the work"
    return f"{share}: {short_usd(remaining.expected_usd)} USD expected {interval} {where}{beside}{old}"


def _percent(share: float) -> str:
    """Whole per cent; what is not certain is not shown as 0 or 100."""
    whole = round(100 * share)
    if whole == 100 and share < 1.0:
        return "over 99 %"
    return "under 1 %" if whole == 0 and share > 0.0 else f"{whole} %"
