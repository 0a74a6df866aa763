"""What policies pay on recorded spot availability: ours beside Uniform Progress, greedy and the optimum, same episodes.

    python benchmarks/policy.py [--data FOLDER] [--stride 24h] [--json FILE]

48 h of work, deadlines of 52 and 70 h, restarts of 0.05, 0.2 and 0.4 h. The model of pools is never judged on what it
was fitted to: once it is fitted to the first half of every recording and judged on the second (``later``), and once
to two thirds of the zones and judged on the others (``zones``, three times). Costs are hours of on-demand capacity: the
mean over sources of the mean over a source's episodes. Closed is the share of the way from Uniform Progress to the
optimum.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import fmean

import numpy as np
from fit_pool_models import fitted

from spotwise.cost_models.availability import PoolModel
from spotwise.cost_models.availability.model import TICK_HOURS
from spotwise.scheduler.backtest.omniscient import NAME as OPTIMUM
from spotwise.scheduler.backtest.replay import Episode, EpisodeOutcome, Rules, episodes
from spotwise.scheduler.backtest.study import outcomes
from spotwise.scheduler.backtest.trace import Trace, read_trace
from spotwise.scheduler.jobfile.quantities import parse_duration

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "spot-traces"
POLICIES = ("on_demand", "greedy", "uniform_progress", "deadline", OPTIMUM)
WORK_HOURS, DEADLINES_HOURS, RESTARTS_HOURS = 48.0, (52.0, 70.0), (0.05, 0.2, 0.4)
FOLDS = 3
Played = dict[str, list[tuple[Episode, EpisodeOutcome]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--stride", default="24h")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(options.data.glob("*.json"))
    if not files:
        sys.exit(f"{options.data}: no recordings; --data names the folder of the published ones")
    traces = [read_trace(path, TICK_HOURS) for path in files]
    stride = parse_duration(options.stride).total_seconds() / 3600
    began, rows = time.monotonic(), []
    for name, parts in (("later", _later(traces)), ("zones", _zones(traces))):
        rows += _judged(name, parts, stride)
    _together(traces)
    _robust(traces)
    print(f"\n{time.monotonic() - began:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _later(traces: Sequence[Trace]) -> list[tuple[PoolModel, list[Trace]]]:
    """Fitted to first halves, judged on second halves."""
    halves = [trace.ticks // 2 for trace in traces]
    model = fitted([_part(trace, slice(None, half)) for trace, half in zip(traces, halves, strict=True)])
    return [(model, [_part(trace, slice(half, None)) for trace, half in zip(traces, halves, strict=True)])]


def _zones(traces: Sequence[Trace]) -> list[tuple[PoolModel, list[Trace]]]:
    """Fitted to two thirds of the zones, judged on the others; zones of one name go together."""
    zones = sorted({trace.zone for trace in traces})
    random.Random(0).shuffle(zones)
    found = []
    for fold in range(FOLDS):
        left_out = set(zones[fold::FOLDS])
        model = fitted([trace for trace in traces if trace.zone not in left_out])
        found.append((model, [trace for trace in traces if trace.zone in left_out]))
    return found


def _part(trace: Trace, span: slice) -> Trace:
    return replace(trace, available=trace.available[span], spot_usd_per_hour=trace.spot_usd_per_hour[span])


def _judged(name: str, parts: Sequence[tuple[PoolModel, list[Trace]]], stride_hours: float) -> list[dict[str, object]]:
    header = f"{'split':6}{'deadline':>9}{'restart':>9}{'episodes':>9}"
    print(
        "\n"
        + header
        + "".join(f"{policy:>18}" for policy in POLICIES)
        + f"{'closed':>9}{'missed':>8}{'worst zone':>12}"
    )
    rows: list[dict[str, object]] = []
    for deadline in DEADLINES_HOURS:
        for restart in RESTARTS_HOURS:
            rules = Rules(WORK_HOURS, deadline, restart, TICK_HOURS)
            played: Played = {policy: [] for policy in POLICIES}
            for model, traces in parts:
                found = episodes(traces, rules, stride_hours, together=False)
                for policy, results in outcomes(POLICIES, found, rules, model=model).items():
                    played[policy] += zip(found, results, strict=True)
            rows.append(_row(name, rules, played))
    return rows


def _row(name: str, rules: Rules, played: Played) -> dict[str, object]:
    cost = {policy: _mean(results) for policy, results in played.items()}
    closed = (cost["uniform_progress"] - cost["deadline"]) / (cost["uniform_progress"] - cost[OPTIMUM])
    missed = sum(not outcome.met_deadline for _, outcome in played["deadline"])
    by_zone = {policy: _by(results, "zone") for policy, results in played.items()}
    worst = max(fmean(by_zone["deadline"][z]) / fmean(by_zone["uniform_progress"][z]) - 1 for z in by_zone["deadline"])
    print(
        f"{name:6}{rules.deadline_hours:7.0f} h{rules.restart_hours:7.2f} h{len(played['deadline']):9}"
        + "".join(f"{cost[policy]:18.2f}" for policy in POLICIES)
        + f"{closed:9.3f}{missed:8}{100 * worst:+10.1f} %",
        flush=True,
    )
    terms = {"split": name, "deadline_hours": rules.deadline_hours, "restart_hours": rules.restart_hours}
    return {**terms, **cost, "closed": closed, "missed": missed, "worst_zone": worst}


def _mean(results: Iterable[tuple[Episode, EpisodeOutcome]]) -> float:
    return fmean(fmean(costs) for costs in _by(results, "source").values())


def _by(results: Iterable[tuple[Episode, EpisodeOutcome]], key: str) -> dict[str, list[float]]:
    """Costs in hours of on-demand capacity, by a field of the recording; zones by recording."""
    found: dict[str, list[float]] = {}
    for episode, outcome in results:
        trace = episode.traces[0]
        group = trace.id if key == "zone" else trace.source
        found.setdefault(group, []).append(float(outcome.cost_usd / trace.on_demand_usd_per_hour))
    return found


def _together(traces: Sequence[Trace]) -> None:
    """Zones of one source side by side, unseen unless held or asked: cost over the optimum's."""
    policies = ("greedy", "uniform_progress", "deadline", OPTIMUM)
    print(f"\n{'together':26}{'zones':>6}{'episodes':>9}" + "".join(f"{policy:>18}" for policy in policies[:-1]))
    rules = Rules(WORK_HOURS, 52.0, 0.2, TICK_HOURS, probe_hours=1 / 30, move_hours=0.1)
    groups = {(trace.source, trace.device) for trace in traces}
    for source, device in sorted(groups):
        side_by_side = [trace for trace in traces if (trace.source, trace.device) == (source, device)]
        found = episodes(side_by_side, rules, 48.0, together=True) if len(side_by_side) > 1 else []
        if found:
            played = outcomes(policies, found, rules)
            best = fmean(float(each.cost_usd) for each in played[OPTIMUM])
            shares = [fmean(float(each.cost_usd) for each in played[policy]) / best for policy in policies[:-1]]
            name = f"{source} {device}"
            print(
                f"{name:26}{len(side_by_side):6}{len(found):9}" + "".join(f"{each:18.3f}" for each in shares),
                flush=True,
            )


def _robust(traces: Sequence[Trace]) -> None:
    """Worlds that no recording holds. Cost over the on-demand policy's, and whether the deadline is met."""
    ticks, rng = 420, np.random.default_rng(0)
    likely = next(trace for trace in traces if trace.has_prices)
    up, down = np.ones(ticks, dtype=bool), np.zeros(ticks, dtype=bool)
    steady_then_flickering = np.where(np.arange(ticks) < 150, True, rng.random(ticks) < 0.5)
    worlds = {
        "no spot capacity at all": (down, None, 1.0),
        "always spot capacity": (up, None, 1.0),
        "steady, then flickering": (steady_then_flickering, None, 1.0),
        "price doubles in the middle": (up, ticks // 4, 1.0),
        "restart takes twice as long as said": (rng.random(ticks) < 0.7, None, 2.0),
    }
    print(f"\n{'robustness':38}{'deadline policy / on demand':>28}{'met':>6}")
    for name, (available, doubles_at, factor) in worlds.items():
        base = Decimal("0.3") * likely.on_demand_usd_per_hour
        prices = tuple(base * (2 if doubles_at is not None and tick >= doubles_at else 1) for tick in range(ticks))
        made = replace(likely, available=available, spot_usd_per_hour=prices)
        said = Rules(WORK_HOURS, 60.0, 0.2, TICK_HOURS)
        true = replace(said, restart_hours=factor * said.restart_hours, said_restart_hours=said.restart_hours)
        ours, on_demand = (
            outcomes([policy], [Episode((made,), 0)], true)[policy][0] for policy in ("deadline", "on_demand")
        )
        print(f"{name:38}{float(ours.cost_usd / on_demand.cost_usd):28.3f}{'yes' if ours.met_deadline else 'NO':>6}")


if __name__ == "__main__":
    main()
