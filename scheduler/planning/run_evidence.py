"""What a run's own attempts have shown: how long it takes to start and to save, and whether spot capacity gets it on.

A checkpoint is believed once one has been seen: a job file may say how often a program saves, and the program does not.
Machines that are lost before anything more is kept than before are counted, since such a run may go on so for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from ..core.kept_work import KeptWork
from ..core.run import Attempt, AttemptState
from ..core.work_point import WorkPoint
from .start_estimate import AS_LONG_AGAIN, Observed

NOTHING = KeptWork()
TAKEN = frozenset({AttemptState.PREEMPTED, AttemptState.LOST})  # the machine was taken away


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """Of one run, so far."""

    fruitless: int = 0  # spot machines lost since the run last kept more than before
    fruitless_hours: float = 0.0  # billed; how long the longest-lived of them lived
    checkpoint_seen: bool = False
    starts: tuple[Observed, ...] = ()  # from launch until work went on
    save_hours: float = 0.0  # billed, from the start of work to a checkpoint, as what was cut off shows
    kept_share: float = 0.0  # of all work, by what is kept, where it is known
    working_hours: float = 0.0  # billed, that the live attempt has worked

    @property
    def at_risk_hours(self) -> float:
        """Of work, that the loss of a machine may take: what no checkpoint was ever seen to keep, too."""
        return max(self.save_hours, 0.0 if self.checkpoint_seen else self.working_hours)


def evidence_of(
    attempts: Sequence[Attempt],
    points: Sequence[WorkPoint],
    kept: KeptWork,
    now: datetime,
    given_up: Mapping[str, datetime] = MappingProxyType({}),
) -> RunEvidence:
    """What a run has shown until now.

    Args:
        attempts: all of the run, in the order they were made.
        points: what its program said, oldest first; empty where it says nothing.
        kept: how much the run keeps now.
        given_up: when starts were given up to continue elsewhere, by attempt: such an attempt cost nothing and counts
            as refused, but it has shown that a start takes at least so long.
    """
    began = _began(attempts, points)
    lost = [] if _keeps_more(attempts, kept) else lost_in_vain(attempts, points)
    worked = [_hours(began[a.number], a, now) for a in lost if a.number in began]
    live = [a for a in attempts if not a.state.is_final and a.number in began]
    return RunEvidence(
        fruitless=len(lost),
        fruitless_hours=max((_hours(a.launched_at, a, now) for a in lost), default=0.0),
        checkpoint_seen=has_kept(attempts, kept) or any(point.is_kept for point in points),
        starts=tuple(
            _start(a, began.get(a.number), given_up.get(a.id) or a.ended_at or now)
            for a in attempts
            if a.state is not AttemptState.REFUSED or a.id in given_up
        ),
        save_hours=AS_LONG_AGAIN * max(worked, default=0.0),
        kept_share=max((p.share for p in points if p.is_kept and p.share is not None), default=0.0),
        working_hours=max((_hours(began[a.number], a, now) for a in live), default=0.0),
    )


def lost_in_vain(attempts: Sequence[Attempt], points: Sequence[WorkPoint]) -> list[Attempt]:
    """The spot machines that were lost since the run last kept more than before, in whatever it counts."""
    further = _further(points)
    best, lost = NOTHING, list[Attempt]()
    for attempt in attempts:
        if attempt.kept > best or attempt.number in further:
            best, lost = max(best, attempt.kept), []
        elif attempt.state in TAKEN and attempt.offer.is_spot:
            lost.append(attempt)
    return lost


def has_kept(attempts: Sequence[Attempt], kept: KeptWork = NOTHING) -> bool:
    """Whether a run keeps anything: what its attempts have kept, or it keeps now."""
    return bool(kept) or any(attempt.kept for attempt in attempts)


def _keeps_more(attempts: Sequence[Attempt], kept: KeptWork) -> bool:
    """Whether a live attempt has kept more than those before: what it keeps is written down when it ends."""
    return kept > max((attempt.kept for attempt in attempts), default=NOTHING)


def _further(points: Sequence[WorkPoint]) -> set[int]:
    """Numbers of the attempts that kept a position beyond all that was kept before."""
    best, further = (0, 0), set[int]()
    for point in points:
        if point.is_kept and point.position > best:
            best = point.position
            further.add(point.attempt)
    return further


def _began(attempts: Sequence[Attempt], points: Sequence[WorkPoint]) -> dict[int, datetime]:
    """When work began, by attempt: at the first report, or at the start of a program that never reports."""
    if not points:
        return {a.number: a.started_at for a in attempts if a.started_at is not None}
    began: dict[int, datetime] = {}
    for point in points:
        began.setdefault(point.attempt, point.at)
    return began


def _start(attempt: Attempt, began: datetime | None, end: datetime) -> Observed:
    return Observed(_between(attempt.launched_at, began or end, attempt), began is not None)


def _hours(start: datetime, attempt: Attempt, now: datetime) -> float:
    """Billed hours from a moment of an attempt until its end, or until now."""
    return _between(start, attempt.ended_at or now, attempt)


def _between(start: datetime, end: datetime, attempt: Attempt) -> float:
    return max(0.0, (end - start).total_seconds()) / float(attempt.hour_s)
