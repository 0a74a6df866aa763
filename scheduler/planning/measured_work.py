"""The completed runs that a new run's work is measured by, read from the store."""

from __future__ import annotations

from ..core.run import RunKind
from ..store import Store
from .market_snapshot import MarketSnapshot
from .work_estimate import NEWEST_RUNS, MeasuredRuns


def read_measured_runs(
    store: Store, known: MarketSnapshot, *, job_name: str, job_yaml: str, kind: RunKind
) -> MeasuredRuns:
    """The newest of the same job file, for its work, and the newest of the same kind, for their overhead."""
    runs = store.measured_runs(
        job_name=job_name,
        job_yaml=job_yaml,
        kind=kind,
        hour_s=known.hour_s,
        cost_basis=known.cost_basis,
        limit=NEWEST_RUNS,
    )
    ids = [run.id for run in runs]
    return MeasuredRuns.under(known, runs, store.attempts(ids), store.charges(ids))
