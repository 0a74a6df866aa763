"""The tables. One row is one fact; nothing here is derived, but for the plan as it was shown and for what is left."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from .types import DecimalColumn, TextColumn, TimestampColumn, UsdColumn

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
    Column("code_json", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("budget_spent", Boolean, nullable=False),
    Column("wait_until", TimestampColumn),
    Column("ended_at", TimestampColumn),
    Column("end_reason", TextColumn, nullable=False),
    Index("ix_runs_submitted_at", "submitted_at"),
    Index("ix_runs_job_name", "job_name", "submitted_at"),
    Index("ix_runs_team", "team"),
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
    Column("ended_at", TimestampColumn, index=True),
    Column("end_cause", String),  # null: not ended, or ended by a version that did not keep it
    Column("end_reason", TextColumn, nullable=False),
    Column("exit_code", Integer),
    Column("host", Integer, nullable=False),
    Column("checkpoint_every", String, nullable=False),
    Column("migrating", Boolean, nullable=False),
    Column("epochs_kept", Integer, nullable=False),
    Column("landed_zone", String, nullable=False, server_default=""),
    Column("steps_kept", BigInteger, nullable=False, server_default="0"),
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
    Column("start", TimestampColumn, nullable=False, index=True),
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
    Column("market", String),  # of the offer; null: estimated by a version that did not keep it
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

changes = Table(  # each change of money or state, by whom and why: rows are appended, and nothing else
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", TimestampColumn, nullable=False, index=True),
    Column("actor_user", String, nullable=False),
    Column("actor_host", String, nullable=False),
    Column("command", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("run_id", String, index=True),  # no foreign key: of a study that came from elsewhere there is no run
    Column("field", String, nullable=False),
    Column("before", TextColumn),
    Column("after", TextColumn),
    Column("cause", TextColumn, nullable=False),
    sqlite_autoincrement=True,  # no number is ever given twice
)

notifications = Table(  # messages to people; kept until a channel has taken them
    "notifications",
    metadata,
    Column("id", String, primary_key=True),
    Column("run_id", String),
    Column("at", TimestampColumn, nullable=False),
    Column("message", TextColumn, nullable=False),
    Column("channel", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", TimestampColumn, nullable=False),
    Column("delivered_at", TimestampColumn, index=True),  # null: still to be delivered
    Column("last_error", TextColumn, nullable=False),
)

_REFUSED = "BEGIN SELECT RAISE(ABORT, 'changes are appended only'); END"
APPEND_ONLY = {  # by dialect
    "sqlite": (
        f"CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes {_REFUSED}",
        f"CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes {_REFUSED}",
    ),
    "postgresql": (
        "CREATE FUNCTION changes_are_appended_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'changes are appended only'; END $$",
        "CREATE TRIGGER changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON changes "
        "FOR EACH STATEMENT EXECUTE FUNCTION changes_are_appended_only()",
    ),
}


@event.listens_for(changes, "after_create")
def _append_only(_table: Table, connection: Connection, **_options: Any) -> None:
    for statement in APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)
