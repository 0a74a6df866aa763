"""What is ahead of runs, kept for whoever asks; what people should know of it becomes an event. Decides nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.deadline import is_in_danger
from ..core.event_kind import EventKind
from ..core.remaining import Remaining
from ..core.run import Attempt, Run
from ..planning.remaining_cost import estimate_remaining
from ..planning.run_evidence import TAKEN, has_kept, lost_in_vain
from ..policies.base import Situation
from ..policies.choice import hours_between
from ..policies.fruitless import warning
from ..store import Lease, Store
from .run_notes import RunNotes
from .workloads import Workload


class Outlook:
    """Writes into the store what is left of each run, and warns."""

    def __init__(self, store: Store, notes: RunNotes) -> None:
        self._store, self._notes = store, notes
        self._estimated: dict[str, datetime] = {}  # run id: when what is left of it was last kept

    def is_due(self, run: Run, now: datetime, every: timedelta) -> bool:
        """Whether what is left of a run was last kept longer ago than that, or never by this process."""
        last = self._estimated.get(run.id)
        return last is None or now - last > every

    def save(self, run: Run, policy: str, situation: Situation, lease: Lease) -> None:
        """Keep what is left of a run under its policy; a deadline that has come into danger is said, once."""
        self._estimated[run.id] = situation.now
        remaining = estimate_remaining(situation, policy)
        if remaining is None:
            return
        if is_in_danger(remaining) and not is_in_danger(self._store.remaining(run.id)):
            self._notes.happened(run, EventKind.LATE, _danger(remaining, situation))
        self._store.save_remaining(run.id, remaining, lease)

    def warn_of_loss(self, run: Run, ended: Attempt, *, policy: str, workload: Workload) -> None:
        """Say it where a spot machine was lost and the run keeps no more than before."""
        attempts = self._store.attempts(run.id)
        points = workload.points()
        lost = len(lost_in_vain(attempts, points))
        if not lost or ended.state not in TAKEN or not ended.offer.is_spot:
            return
        seen = has_kept(attempts) or any(point.is_kept for point in points)
        self._notes.happened(run, EventKind.UNSAVED, warning(lost, policy, checkpoint_seen=seen), ended)

    def forget(self, run_id: str) -> None:
        """The run has ended."""
        self._estimated.pop(run_id, None)


def _danger(remaining: Remaining, situation: Situation) -> str:
    left = 0.0 if situation.deadline_at is None else hours_between(situation.now, situation.deadline_at, situation)
    chance = remaining.chance_to_meet_deadline or 0.0
    return (
        f"the deadline in {max(left, 0.0):.2g} h will more likely be missed than met: {chance:.0%} in time, with "
        f"{remaining.share:.0%} of the work left"
    )
