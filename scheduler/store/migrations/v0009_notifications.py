"""Messages that are to be delivered. What happened before is told to nobody: the cursor begins behind it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the outbox, and where reading of the history begins."""
    op.create_table(
        "notifications",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), index=True),
        sa.Column("last_error", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO meta (key, value) SELECT 'notified_change', CAST(COALESCE(MAX(id), 0) AS VARCHAR) FROM changes"
    )
