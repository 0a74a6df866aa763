"""Values for tests: each call makes one, and a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from spotwise.checkpoints import ProgressEvent, ProgressRecord
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.core.run import Attempt, AttemptState, CostBasis, Run, RunKind, RunState

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

JOB_YAML = """\
name: digits
team: vision
project: shelf
resources: {accelerators: T4:1}
checkpoint: {every: 1 epochs}
work: {epochs: 10, hours: 2}
run: python train.py
"""


def at(hours: float) -> datetime:
    """``hours`` after T0."""
    return T0 + timedelta(hours=hours)


def offer(zone: str = "a", market: Market = Market.SPOT, price: str = "0.20", **changes: Any) -> Offer:
    values: dict[str, Any] = {
        "pool": Pool("aws", "us-east-1", zone, "g4dn.xlarge"),
        "market": market,
        "price_usd_per_hour": Decimal(price),
        "on_demand_usd_per_hour": Decimal("0.526"),
        "accelerator": "T4",
        "accelerator_count": 1,
        "vcpus": 4.0,
        "memory_gib": 16.0,
        "source": "test",
    }
    return Offer(**{**values, **changes})


def attempt(number: int = 1, **changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "id": f"digits-aaaaaa-a{number}",
        "run_id": "digits-aaaaaa",
        "number": number,
        "offer": offer(),
        "nodes": 1,
        "state": AttemptState.RUNNING,
        "reason": "the cheapest",
        "launched_at": T0,
        "hour_s": Decimal(3600),
        "cost_basis": CostBasis.ESTIMATED,
    }
    return Attempt(**{**values, **changes})


def run(run_id: str = "digits-aaaaaa", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": run_id,
        "job_name": "digits",
        "kind": RunKind.TRAINING,
        "owner": "ana",
        "team": "vision",
        "project": "shelf",
        "state": RunState.WAITING,
        "job_yaml": JOB_YAML,
        "workdir": "/",
        "folder": "/nonexistent",
        "engine": "fake",
        "submitted_at": T0,
    }
    return Run(**{**values, **changes})


def record(event: str, hours: float, attempt_number: int = 1, **changes: Any) -> ProgressRecord:
    return ProgressRecord(ProgressEvent(event), at(hours), attempt_number, "host", **changes)
