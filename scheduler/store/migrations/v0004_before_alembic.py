"""What stores of schemas 1 to 3, which kept their number in the table ``meta``, lack of schema 4."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = None

_ADDED = {
    2: (
        "ALTER TABLE runs ADD COLUMN storage VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN hosts INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE attempts ADD COLUMN host INTEGER NOT NULL DEFAULT 0",
    ),
    3: ("ALTER TABLE runs ADD COLUMN mounts_json TEXT NOT NULL DEFAULT '{}'",),
    4: (),  # records of studies said more
}


def upgrade() -> None:
    """Bring any store of before Alembic to the schema of version 4."""
    found = int(op.get_bind().exec_driver_sql("SELECT value FROM meta WHERE key = 'schema'").scalar_one())
    for version in range(found + 1, 5):
        for statement in _ADDED[version]:
            op.execute(statement)
    op.create_table(  # came without a number of its own, so that not every store of schema 4 has it
        "rests",
        sa.Column("run_id", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("offer", sa.String, nullable=False),
        sa.Column("is_held", sa.Boolean, nullable=False),
        sa.Column("expected_usd", sa.BigInteger, nullable=False),
        sa.Column("low_usd", sa.BigInteger, nullable=False),
        sa.Column("high_usd", sa.BigInteger, nullable=False),
        sa.Column("on_demand_usd", sa.BigInteger),
        sa.Column("chance_to_meet_deadline", sa.Float),
        sa.Column("chance_of", sa.String),
        if_not_exists=True,
    )
    # A spotwise of before Alembic looks here, and leaves alone what is above 4.
    op.execute("UPDATE meta SET value = '5' WHERE key = 'schema'")
