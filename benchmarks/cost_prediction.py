"""How well the cost of a run is foretold before its first tick, on recordings that the model was not fitted to.

    python benchmarks/cost_prediction.py [--data FOLDER] [--stride 96h] [--deadline 52h ...] [--restart 12m ...]

48 h of work under the deadline policy. Splits are those of ``policy.py``: later halves, and other zones. Covered is the
share of episodes whose cost lies in the predicted 10-90 % interval; error is the median of |predicted - paid| / paid;
bias is the mean of predicted - paid, as a share of the mean paid. Beside it stand the errors of "price x hours" (all
work on spot capacity that is always there) and of a constant hazard (the same, started again after each preemption,
with the mean rate of what the model was fitted to, capacity always to be had). The spread is what the best single
number could reach: the median of |m - paid| / paid, with the m that makes it least, chosen with the bills known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from policy import DATA, WORK_HOURS, _later, _zones

from spotwise.cost_models.availability import PoolModel
from spotwise.cost_models.availability.model import TICK_HOURS
from spotwise.scheduler.backtest.prediction import predict
from spotwise.scheduler.backtest.replay import Rules, episodes
from spotwise.scheduler.backtest.study import outcomes
from spotwise.scheduler.backtest.trace import Trace, read_trace
from spotwise.scheduler.jobfile.quantities import parse_duration

Row = tuple[float, float, float, float, float, float]  # paid, expected, p10, p90, price x hours, constant hazard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--stride", default="96h")
    parser.add_argument("--deadline", nargs="+", default=["52h", "60h", "70h"])
    parser.add_argument("--restart", nargs="+", default=["3m", "12m", "24m"])
    options = parser.parse_args()
    traces = [read_trace(path, TICK_HOURS) for path in sorted(options.data.glob("*.json"))]
    print(f"{'split':6}{'deadline':>9}{'restart':>8}{'episodes':>9}{'covered':>9}{'error':>7}{'bias':>7}", end="")
    print(f"{'price x hours':>15}{'constant hazard':>17}{'spread':>8}", flush=True)
    for split, parts in (("later", _later(traces)), ("zones", _zones(traces))):
        for deadline in map(_hours, options.deadline):
            for restart in map(_hours, options.restart):
                rules = Rules(WORK_HOURS, deadline, restart, TICK_HOURS)
                rows = [row for part in parts for row in _rows(*part, rules, _hours(options.stride))]
                _print(split, rules, np.array(rows))


def _hours(text: str) -> float:
    return parse_duration(text).total_seconds() / 3600


def _rows(model: PoolModel, traces: Sequence[Trace], rules: Rules, stride_hours: float) -> list[Row]:
    found = episodes(traces, rules, stride_hours, together=False)
    played = outcomes(["deadline"], found, rules, model=model)["deadline"]
    again = _restarts(model, rules)
    rows: list[Row] = []
    for episode, outcome in zip(found, played, strict=True):
        trace, said = episode.traces[0], predict("deadline", episode, rules, model)
        if said is not None:
            price = float(trace.spot_usd_per_hour[episode.start_tick])
            whole = float(trace.on_demand_usd_per_hour)
            usd = (outcome.cost_usd, said.expected_usd, said.p10_usd, said.p90_usd)
            naive = (price * rules.work_hours, price * (rules.work_hours + again))
            paid, expected, p10, p90 = (float(each) / whole for each in usd)
            rows.append((paid, expected, p10, p90, naive[0] / whole, naive[1] / whole))
    return rows


def _restarts(model: PoolModel, rules: Rules) -> float:
    """Hours of restarts over the work at a constant hazard: the model's mean rate where there is capacity."""
    there = model.unseen * model.has_capacity
    life = float(there @ model.hours_unbroken / there.sum())
    return rules.restart_hours * (1.0 + rules.work_hours / life)


def _print(split: str, rules: Rules, rows: np.ndarray) -> None:
    paid, expected, p10, p90, price_by_hours, constant = rows.T
    covered = fmean((paid >= p10 - 1e-9) & (paid <= p90 + 1e-9))
    errors = [float(np.median(abs(said - paid) / paid)) for said in (expected, price_by_hours, constant)]
    spread = min(float(np.median(abs(m - paid) / paid)) for m in np.linspace(paid.min(), paid.max(), 200))
    print(f"{split:6}{rules.deadline_hours:7.0f} h{rules.restart_hours:6.2f} h{len(paid):9}{covered:9.2f}", end="")
    print(f"{errors[0]:7.2f}{(expected - paid).mean() / paid.mean():+7.2f}{errors[1]:15.2f}{errors[2]:17.2f}", end="")
    print(f"{spread:8.2f}", flush=True)


if __name__ == "__main__":
    main()
