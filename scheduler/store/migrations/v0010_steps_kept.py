"""Steps in an attempt's last committed checkpoint. Of attempts that were made before only the epochs are known."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("attempts", sa.Column("steps_kept", sa.BigInteger, nullable=False, server_default="0"))
