"""Backtests for people and programs: a table, a strip of one episode, JSON, and a log of decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..backtest.prediction import Predicted
from ..backtest.replay import NOTHING, ON_DEMAND, SPOT, Episode, EpisodeOutcome, Rules
from ..backtest.study import Summary
from ..core.money import json_usd

_STYLES = {SPOT: "green", ON_DEMAND: "red", NOTHING: "dim"}
_ROW_TICKS = 72


def print_summaries(summaries: Sequence[Summary], rules: Rules, console: Console) -> None:
    """A row for each policy, below the terms that all were played under."""
    terms = (
        f"{rules.work_hours:g} h of work in {rules.deadline_hours:g} h, restart {60 * rules.restart_hours:g} min, "
        f"ticks of {60 * rules.tick_hours:g} min"
    )
    table = Table(
        title=f"{summaries[0].episodes} episode{'s' * (summaries[0].episodes != 1)}: {terms}", title_justify="left"
    )
    table.add_column("policy", no_wrap=True)
    for heading in ("mean cost USD", "of on demand", "missed", "finish h", "spot h", "on-demand h", "starts"):
        table.add_column(heading, justify="right")
    for each in summaries:
        table.add_row(
            each.policy,
            f"{each.cost_usd:.2f}",
            f"{100 * each.of_on_demand:.1f} %",
            str(each.missed),
            "-" if each.finish_hours is None else f"{each.finish_hours:.1f}",
            f"{each.spot_hours:.1f}",
            f"{each.on_demand_hours:.1f}",
            f"{each.starts:.1f}",
        )
    console.print(table)


def print_strip(episode: Episode, outcome: EpisodeOutcome, rules: Rules, console: Console) -> None:
    """One episode, tick by tick: where spot capacity was, what was held, and the work done against the deadline."""
    end = "" if outcome.finish_hours is None else f", done after {outcome.finish_hours:.1f} h"
    met = "in time" if outcome.met_deadline else "too late" if end else "never done"
    console.print(
        f"{outcome.policy} on {outcome.id} from tick {outcome.start_tick}: ${outcome.cost_usd:.2f}{end}, {met}"
    )
    done = _work_done(outcome, rules)
    for first in range(0, len(outcome.choices), _ROW_TICKS):
        last = min(first + _ROW_TICKS, len(outcome.choices))
        there = "".join(_capacity(episode, tick) for tick in range(first, last))
        held = Text("".join(outcome.choices[first:last]))
        for offset, choice in enumerate(outcome.choices[first:last]):
            held.stylize(_STYLES[choice], offset, offset + 1)
        line = min(1.0, last / rules.deadline_ticks)
        console.print(Text(f"{first * rules.tick_hours:6.1f} h  spot  {there}", style="dim"))
        console.print(Text.assemble("          held  ", held))
        console.print(f"          work  {_bar(done[last - 1], line, last - first)}  {100 * done[last - 1]:.0f} %")
    console.print(
        "S spot · O on-demand · . nothing · # spot capacity there · = work done · | a straight line to the deadline"
    )


def outcome_json(outcome: EpisodeOutcome) -> dict[str, Any]:
    """One episode; money as a decimal string."""
    return {
        "id": outcome.id,
        "start_tick": outcome.start_tick,
        "policy": outcome.policy,
        "cost_usd": f"{outcome.cost_usd:.6f}",
        "finish_hours": None if outcome.finish_hours is None else round(outcome.finish_hours, 6),
        "met_deadline": outcome.met_deadline,
        "spot_hours": round(outcome.spot_hours, 6),
        "on_demand_hours": round(outcome.on_demand_hours, 6),
        "starts": outcome.starts,
    }


def predicted_json(predicted: Predicted | None) -> dict[str, Any] | None:
    """What an episode was predicted to cost; null where it cannot be said."""
    if predicted is None:
        return None
    return {
        "expected_usd": json_usd(predicted.expected_usd),
        "p10_usd": json_usd(predicted.p10_usd),
        "p90_usd": json_usd(predicted.p90_usd),
        "expected_hours": round(predicted.expected_hours, 6),
    }


def decisions_line(outcome: EpisodeOutcome, several: bool) -> str:
    """One JSON line: a letter a tick. Where there are several recordings, also which one spot capacity was held in."""
    line: Mapping[str, Any] = {"id": outcome.id, "start_tick": outcome.start_tick, "choices": outcome.choices}
    return json.dumps({**line, "zones": outcome.zones} if several else line)


def _capacity(episode: Episode, tick: int) -> str:
    return "#" if any(trace.available[episode.start_tick + tick] for trace in episode.traces) else " "


def _work_done(outcome: EpisodeOutcome, rules: Rules) -> list[float]:
    """Share of the work after each tick, without what preemptions took."""
    done, starting, before, shares = 0.0, 0.0, (NOTHING, -1), []
    for choice, zone in zip(outcome.choices, outcome.zones, strict=True):
        if choice != NOTHING:
            if (choice, zone) != before:
                starting = rules.restart_hours
            done += max(0.0, rules.tick_hours - starting)
            starting = max(0.0, starting - rules.tick_hours)
        before = (choice, zone)
        shares.append(min(1.0, done / rules.work_hours))
    return shares


def _bar(done: float, line: float, width: int) -> str:
    filled, mark = round(done * width), min(round(line * width), width - 1)
    bar = "=" * filled + " " * (width - filled)
    return bar[:mark] + "|" + bar[mark + 1 :]
