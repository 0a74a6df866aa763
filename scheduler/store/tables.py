"""The tables. One row is one fact; nothing here is derived, but for the plan as it was shown and for what is left."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

from .types import DecimalColumn, TextColumn, TimestampColumn, UsdColumn

SCHEMA_VERSION = 4

# What an older store lacks, by the version that brought it.
UPGRADES = {
    2: (
        "ALTER TABLE runs ADD COLUMN storage VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN hosts INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE attempts ADD COLUMN host INTEGER NOT NULL DEFAULT 0",
    ),
    3: ("ALTER TABLE runs ADD COLUMN mounts_json TEXT NOT NULL DEFAULT '{}'",),
    4: (),  # records of studies say more, which an older spotwise cannot read
}

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("active_key", String, unique=True),  # one active run for one job file; null once it is final
    Column("job_name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("team", String, nullable=False),
    Column("project", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("job_yaml", Text, nullable=False),
    Column("workdir", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("engine", String, nullable=False),
    Column("submitted_at", TimestampColumn, nullable=False),
    Column("storage", String, nullable=False),
    Column("hosts", Integer, nullable=False),
    Column("deadline_at", TimestampColumn),
    Column("budget_usd", UsdColumn),
    Column("reserved_usd", UsdColumn, nullable=False),
    Column("predicted_usd", UsdColumn),
    Column("predicted_low_usd", UsdColumn),
    Column("predicted_high_usd", UsdColumn),
    Column("predicted_hours", Float),
    Column("plan_json", Text, nullable=False),
    Column("mounts_json", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("budget_spent", Boolean, nullable=False),
    Column("wait_until", TimestampColumn),
    Column("ended_at", TimestampColumn),
    Column("end_reason", TextColumn, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("run_id", String, ForeignKey("runs.id"), primary_key=True),
    Column("owner", String, nullable=False),  # "" while nobody holds it
    Column("fence", Integer, nullable=False),  # grows with every new holder
    Column("expires_at", TimestampColumn, nullable=False),
)

_POOL_AND_MARKET = ("cloud", "region", "zone", "instance_type", "pool_accelerators", "market")


def _offer_columns() -> list[Column[Any]]:
    return [
        *(Column(name, String, nullable=False) for name in _POOL_AND_MARKET),
        Column("price_usd_per_hour", DecimalColumn, nullable=False),
        Column("on_demand_usd_per_hour", DecimalColumn),
        Column("accelerator", String),
        Column("accelerator_count", Integer, nullable=False),
        Column("vcpus", Float, nullable=False),
        Column("memory_gib", Float, nullable=False),
        Column("source", String, nullable=False),
    ]


attempts = Table(
    "attempts",
    metadata,
    Column("id", String, primary_key=True),
    Column("run_id", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    *_offer_columns(),
    Column("nodes", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", TextColumn, nullable=False),
    Column("launched_at", TimestampColumn, nullable=False),
    Column("hour_s", DecimalColumn, nullable=False),
    Column("cost_basis", String, nullable=False),
    Column("started_at", TimestampColumn),
    Column("ended_at", TimestampColumn),
    Column("end_reason", TextColumn, nullable=False),
    Column("exit_code", Integer),
    Column("host", Integer, nullable=False),
    Column("checkpoint_every", String, nullable=False),
    Column("migrating", Boolean, nullable=False),
    Column("epochs_kept", Integer, nullable=False),
    UniqueConstraint("run_id", "number"),
)

charges = Table(
    "charges",
    metadata,
    Column("id", String, primary_key=True),
    Column("run_id", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("attempt_id", String, ForeignKey("attempts.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("trial", Integer),
    Column("start", TimestampColumn, nullable=False),
    Column("end", TimestampColumn, nullable=False),
    Column("share", DecimalColumn, nullable=False),
    Column("hours", DecimalColumn, nullable=False),
    Column("category", String, nullable=False),
    *_offer_columns(),
    Column("amount_usd", UsdColumn, nullable=False),
    Column("on_demand_usd", UsdColumn),
    Column("cost_basis", String, nullable=False),
    UniqueConstraint("attempt_id", "seq"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("attempt_id", String),
    Column("at", TimestampColumn, nullable=False),
    Column("kind", String, nullable=False),
    Column("message", TextColumn, nullable=False),
)

remaining_table = Table(  # what is left of each run, as last estimated; an older spotwise lets it be
    "rests",
    metadata,
    Column("run_id", String, ForeignKey("runs.id"), primary_key=True),
    Column("at", TimestampColumn, nullable=False),
    Column("share", Float, nullable=False),
    Column("offer", String, nullable=False),
    Column("is_held", Boolean, nullable=False),
    Column("expected_usd", UsdColumn, nullable=False),
    Column("low_usd", UsdColumn, nullable=False),
    Column("high_usd", UsdColumn, nullable=False),
    Column("on_demand_usd", UsdColumn),
    Column("chance_to_meet_deadline", Float),
    Column("chance_of", String),
)

studies = Table(
    "studies",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_name", String, nullable=False),
    Column("created_at", TimestampColumn, nullable=False),
    Column("record", Text, nullable=False),  # the study as JSON: read and written whole
)

models = Table(
    "models",
    metadata,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),  # the id of the run that trained it
    Column("metric", String, nullable=False),
    Column("value", Float),
    Column("champion_value", Float),
    Column("promoted", Boolean, nullable=False),
    Column("reason", TextColumn, nullable=False),
    Column("judged_at", TimestampColumn, nullable=False),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("model", String, primary_key=True),
    Column("occurrence_id", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("begun_at", TimestampColumn, nullable=False),
    Column("finished_at", TimestampColumn),
    Column("outcome", String),
    Column("reason", TextColumn, nullable=False),
)
