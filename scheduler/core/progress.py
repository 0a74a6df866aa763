"""How far a run is."""

from __future__ import annotations

from dataclasses import dataclass

from .kept_work import KeptWork


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    fraction: float  # of all work, by what is kept; 0 where the total is not known
    kept: KeptWork  # grows whenever a restart has less to do: what the crash limit looks at
    text: str  # for people
    is_total_known: bool = False  # whether the job file states how much there is to do, in what the program counts
