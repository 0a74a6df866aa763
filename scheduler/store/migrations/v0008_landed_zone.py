"""Where an attempt's machines came up, where its offer is of a whole region: what it is billed for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; of attempts before nobody knows."""
    op.add_column("attempts", sa.Column("landed_zone", sa.String, nullable=False, server_default=""))
