"""``spotwise backtest``: read the recordings, play every policy, show what came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from ..backtest.prediction import predict
from ..backtest.replay import Episode, Rules, episodes
from ..backtest.study import check_policy, outcomes, summarise
from ..backtest.trace import UNKNOWN_SPOT_SHARE, Trace, read_trace
from ..core.errors import InputError
from .backtest_view import decisions_line, outcome_json, predicted_json, print_strip, print_summaries


@dataclass(frozen=True, slots=True)
class Backtest:
    """What is asked for."""

    files: tuple[Path, ...]
    policies: tuple[str, ...]
    rules: Rules
    stride_hours: float | None = None
    together: bool = False
    spot_usd_per_hour: Decimal | None = None
    on_demand_usd_per_hour: Decimal | None = None


def backtest(
    asked: Backtest,
    console: Console,
    *,
    as_json: bool = False,
    predicts: bool = False,
    decisions: Path | None = None,
    plot: bool = False,
) -> None:
    """Play and show; results go to ``console`` or as JSON to standard output, remarks to standard error.

    ``predicts`` adds to the JSON of each episode what it was predicted to cost before its first tick.

    Raises:
        InputError: a recording, a policy or a rule that is none, or a deadline that fits into no recording.
    """
    _check(asked)
    traces = _read(asked)
    found = _episodes(asked, traces)
    names = list(dict.fromkeys(asked.policies))
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("backtest", total=len(found) * len(names))
        played = outcomes(names, found, asked.rules, progress=lambda: bar.advance(task))
    everything = [outcome for name in names for outcome in played[name]]
    if decisions is not None:
        lines = [decisions_line(outcome, asked.together) for outcome in everything]
        decisions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if as_json:
        rows = [outcome_json(outcome) for outcome in everything]
        if predicts:
            known = [predict(name, episode, asked.rules) for name in names for episode in found]
            rows = [row | {"predicted": predicted_json(each)} for row, each in zip(rows, known, strict=True)]
        print(json.dumps(rows, indent=1))
        return
    if plot:
        for name in names:
            print_strip(found[0], played[name][0], asked.rules, console)
    print_summaries([summarise(found, played[name], asked.rules) for name in names], asked.rules, console)


def _check(asked: Backtest) -> None:
    for name in asked.policies:
        check_policy(name)
    rules = asked.rules
    for option, hours in (("--work", rules.work_hours), ("--deadline", rules.deadline_hours)):
        if hours < rules.tick_hours:
            raise InputError(
                f"{option}: found {hours:g} h; required: at least one tick of {60 * rules.tick_hours:g} min"
            )
    if rules.deadline_hours < rules.work_hours + rules.restart_hours:
        raise InputError(
            f"--deadline: {rules.deadline_hours:g} h cannot be met: {rules.work_hours:g} h of work and a start of "
            f"{60 * rules.restart_hours:g} min take {rules.work_hours + rules.restart_hours:g} h on demand"
        )


def _read(asked: Backtest) -> list[Trace]:
    traces = [
        read_trace(
            path,
            asked.rules.tick_hours,
            spot_usd_per_hour=asked.spot_usd_per_hour,
            on_demand_usd_per_hour=asked.on_demand_usd_per_hour,
        )
        for path in asked.files
    ]
    bare = sum(not trace.has_prices for trace in traces)
    if bare:
        share = f"{100 * UNKNOWN_SPOT_SHARE:.0f} % of on demand (--spot-price sets another)"
        print(f"{bare} of {len(traces)} recordings have no spot prices: assuming {share}", file=sys.stderr)
    return traces


def _episodes(asked: Backtest, traces: Sequence[Trace]) -> list[Episode]:
    """Raises InputError where there is none: a table of nothing would look like a result."""
    rules = asked.rules
    found = episodes(traces, rules, asked.stride_hours, together=asked.together)
    short = [path.name for path, trace in zip(asked.files, traces, strict=True) if trace.ticks < rules.deadline_ticks]
    if short and found:
        print(f"left out, since shorter than the deadline: {', '.join(short)}", file=sys.stderr)
    if not found:
        raise InputError(f"--deadline: no recording is as long as {rules.deadline_hours:g} h")
    return found
