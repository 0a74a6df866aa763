"""Which code a run executes. Of runs that were admitted before nobody knows: they read the folder as it was."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("runs", sa.Column("code_json", sa.Text, nullable=False, server_default="{}"))
