"""The history of money and states, and an index for each question that is asked often."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes "
        "BEGIN SELECT RAISE(ABORT, 'changes are appended only'); END",
        "CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes "
        "BEGIN SELECT RAISE(ABORT, 'changes are appended only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION changes_are_appended_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'changes are appended only'; END $$",
        "CREATE TRIGGER changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON changes "
        "FOR EACH STATEMENT EXECUTE FUNCTION changes_are_appended_only()",
    ),
}


def upgrade() -> None:
    """Add the table of changes, its triggers, and the indices."""
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("actor_user", sa.String, nullable=False),
        sa.Column("actor_host", sa.String, nullable=False),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("subject_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, index=True),
        sa.Column("field", sa.String, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("cause", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_index("ix_runs_submitted_at", "runs", ["submitted_at"])
    op.create_index("ix_runs_job_name", "runs", ["job_name", "submitted_at"])
    op.create_index("ix_runs_team", "runs", ["team"])
    op.create_index("ix_attempts_ended_at", "attempts", ["ended_at"])
    op.create_index("ix_charges_start", "charges", ["start"])
