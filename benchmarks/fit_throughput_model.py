"""Fit the few variances of cost_models/throughput_model.py to the measured speeds that ship.

    python benchmarks/fit_throughput_model.py

Largest posterior density, with a weak log-normal prior on every standard deviation; half a minute of CPU. SciPy is
needed here only: what ships is the table of measured speeds and a dozen numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.sources.shipped import READ_ON
from spotwise.cost_models.throughput_model import MeasuredSpeed, ThroughputModel, Variances, measured_speeds

TABLE = Path(__file__).resolve().parents[1] / "cost_models" / "data" / f"throughput-model-{READ_ON.isoformat()}.json"
FIGURES = 5
START = (*[0.3] * FIGURES, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.08, 0.1, 0.1, 0.1, 1.4)  # in the order of Variances
PRIOR_MEDIAN, PRIOR_SPREAD = -1.5, 1.5  # of the logarithm of each


def fitted(measured: Sequence[MeasuredSpeed]) -> Variances:
    """The variances under which the measured speeds are most likely."""
    found = minimize(
        lambda logs: _penalty(logs, measured),
        np.log(START),
        method="L-BFGS-B",
        bounds=[(-7.0, 1.5)] * len(START),
        options={"maxiter": 20, "maxfun": 600},
    )
    return _variances(found.x)


def _penalty(logs: Array, measured: Sequence[MeasuredSpeed]) -> float:
    model = ThroughputModel(measured, _variances(logs))
    return -model.log_likelihood() + 0.5 * float(np.square((logs - PRIOR_MEDIAN) / PRIOR_SPREAD).sum())


def _variances(logs: Array) -> Variances:
    values = [float(value) for value in np.exp(logs)]
    names = [field.name for field in fields(Variances)][1:]
    return Variances(slopes=tuple(values[:FIGURES]), **dict(zip(names, values[FIGURES:], strict=True)))


def main() -> None:
    found = asdict(fitted(measured_speeds()))
    rounded = {
        key: [round(v, 4) for v in value] if key == "slopes" else round(value, 4) for key, value in found.items()
    }
    TABLE.write_text(json.dumps(rounded, indent=1) + "\n")
    print(f"{TABLE}: {rounded}")


if __name__ == "__main__":
    main()
