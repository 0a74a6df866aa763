"""What must outlive every process: runs, attempts, charges, reasons, studies, models. SQLite or PostgreSQL."""

from .changes import Actor, Change
from .leases import Lease
from .limits import TeamLimit
from .queries import RunTotals
from .store import RunEvent, Store
from .unreadable import UnreadableRow

__all__ = ["Actor", "Change", "Lease", "RunEvent", "RunTotals", "Store", "TeamLimit", "UnreadableRow"]
