"""Fit the model of pools that ships with spotwise to recordings of spot availability.

    python benchmarks/fit_pool_models.py TRACE.json... --out cost_models/data/pool-regimes-DATE.json

Recordings are resampled to ten minutes. The file is a few kilobytes; see cost_models/data/README.md for its source.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pool_model_fit import fit, log_likelihood

from spotwise.cost_models.availability.model import TICK_HOURS, PoolModel
from spotwise.scheduler.backtest.trace import Trace, read_trace

REGIMES = 6  # more did not foretell zones that were left out better


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--regimes", type=int, default=REGIMES)
    options = parser.parse_args()
    traces = [read_trace(path, TICK_HOURS) for path in options.traces]
    model = fitted(traces, options.regimes)
    options.out.write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    nats = log_likelihood(model, [trace.available for trace in traces]) / sum(trace.ticks for trace in traces)
    print(f"wrote {options.out}: {options.regimes} regimes; {nats:.4f} nats a tick on what it was fitted to")


def fitted(traces: list[Trace], regimes: int = REGIMES) -> PoolModel:
    days = sum(trace.ticks for trace in traces) * TICK_HOURS / 24
    model = fit([trace.available for trace in traces], regimes)
    source = f"{len(traces)} recordings, {days:.0f} days: {', '.join(sorted({trace.source for trace in traces}))}"
    return PoolModel(model.hazard, model.shift, model.prior, source)


if __name__ == "__main__":
    main()
