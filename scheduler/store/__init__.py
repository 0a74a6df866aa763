"""What must outlive every process: runs, attempts, charges, reasons, studies, models. SQLite or PostgreSQL."""

from .changes import Actor, Change
from .leases import Lease
from .limits import TeamLimit
from .store import RunEvent, Store

__all__ = ["Actor", "Change", "Lease", "RunEvent", "Store", "TeamLimit"]
