"""Why an attempt ended, and what market an estimate is of, become values of their own.

What was written before said both in texts only: they are read here for the last time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# By state and start of the sentence, the first that fits; "" fits any.
_MEANT = (
    ("completed", "", "exited"),
    ("preempted", "", "preempted"),
    ("migrated", "", "terminated"),
    ("cancelled", "", "terminated"),
    ("lost", "the program saved and left", "exited"),
    ("lost", "", "vanished"),
    ("refused", "ended by spotwise", "withdrawn"),
    ("refused", "never launched", "withdrawn"),
    ("refused", "", "no_capacity"),
    ("failed", "setup failed", "setup_failed"),
    ("failed", "it cannot be launched", "unlaunchable"),
    ("failed", "the program ", "exited"),
    ("failed", "a command in `run`", "exited"),
    ("failed", "", "launch_failed"),
)


def upgrade() -> None:
    """Add the columns and fill them from the texts of before."""
    op.add_column("attempts", sa.Column("end_cause", sa.String))
    attempts = sa.table("attempts", *(sa.column(name, sa.String) for name in ("state", "end_reason", "end_cause")))
    for state, start, cause in _MEANT:
        fits = (attempts.c.state == state) & attempts.c.end_reason.startswith(start, autoescape=True)
        op.execute(sa.update(attempts).where(fits, attempts.c.end_cause.is_(None)).values(end_cause=cause))

    op.add_column("rests", sa.Column("market", sa.String))
    estimates = sa.table("rests", sa.column("offer", sa.String), sa.column("market", sa.String))
    for market in ("spot", "on_demand"):
        of_it = estimates.c.offer.endswith(f"/{market}", autoescape=True)
        op.execute(sa.update(estimates).where(of_it).values(market=market))
