"""What an ended attempt did with its time, read from what the machine and the training side wrote down. Pure.

Everything here comes from times that the node and the training process recorded themselves. A supervisor that was dead
for a while books exactly what one that watched would have booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from itertools import pairwise

from spotwise.checkpoints.progress import ProgressRecord

from ..core.kept_work import KeptWork
from ..core.run import Attempt, AttemptState
from .ledger import Category, Span

KEPT_EVENTS = frozenset({"checkpoint", "finished"})  # say how many epochs are in the newest checkpoint
LEAVING_EVENTS = frozenset({"stopping", "finished"})  # all work is saved, and no more is done
_TRIAL_TAILS = {"completed": Category.PRODUCTIVE, "pruned": Category.PRODUCTIVE, "failed": Category.FAILED}
SAVED_EVENTS = KEPT_EVENTS | LEAVING_EVENTS


@dataclass(frozen=True, slots=True)
class CapacityShare:
    """A trial held a share of an attempt's capacity over an interval."""

    trial: int
    start: datetime
    end: datetime | None  # None: until the attempt ended
    share: Fraction
    outcome: str  # completed, pruned, failed, paused; "" if it was cut off


def training_spans(attempt: Attempt, records: Sequence[ProgressRecord]) -> list[Span]:
    """Cut a training attempt into overhead, productive, lost work, failed."""
    start, end = _interval(attempt)
    mine = [record for record in records if record.attempt == attempt.number]
    # A program that reported in another attempt is one that reports: here it was still starting.
    silent = end if records or attempt.started_at is None else attempt.started_at
    return _joined(_cut(start, end, mine, silent=silent, tail=_tail_category(attempt.state)))


def sweep_spans(
    attempt: Attempt, holds: Iterable[CapacityShare], progress: Mapping[int, Sequence[ProgressRecord]]
) -> list[Span]:
    """Split a sweep host's attempt over its trials by what they held; what nobody held is idle.

    Before the first trial of the attempt starts, all of it is overhead: the host itself is starting.
    """
    start, end = _interval(attempt)
    held = _clipped(holds, start, end)
    pieces = [span for hold in held for span in _trial_spans(attempt, hold, progress.get(hold.trial, ()))]
    first = min((piece.start for piece in pieces), default=end)
    moments = sorted({start, first, end, *(m for piece in pieces for m in (piece.start, piece.end))})
    spans: list[Span] = []
    for left, right in pairwise(moments):
        active = [p for p in pieces if p.start <= left and p.end >= right]
        spans.extend(_shared(left, right, active, before_first=right <= first))
    return _joined(spans)


def epochs_kept(records: Iterable[ProgressRecord]) -> int:
    """Epochs in the newest committed checkpoint: what a restart need not do again."""
    return max((record.epoch for record in records if record.event in KEPT_EVENTS), default=0)


def work_kept(records: Sequence[ProgressRecord]) -> KeptWork:
    """What the newest committed checkpoints hold, in whatever the program counts."""
    kept = [record for record in records if record.event in KEPT_EVENTS]
    steps = max((record.step for record in kept), default=0)
    return KeptWork(epochs_kept(kept), steps or len({record.checkpoint for record in kept if record.checkpoint}))


def _interval(attempt: Attempt) -> tuple[datetime, datetime]:
    if attempt.ended_at is None:
        raise ValueError(f"attempt {attempt.id} has not ended: its timeline is not known yet")
    return attempt.launched_at, max(attempt.launched_at, attempt.ended_at)


def _tail_category(state: AttemptState) -> Category:
    """What the time after the last checkpoint was worth."""
    if state is AttemptState.COMPLETED:
        return Category.PRODUCTIVE
    return Category.FAILED if state is AttemptState.FAILED else Category.LOST_WORK


def _cut(
    start: datetime,
    end: datetime,
    records: Sequence[ProgressRecord],
    *,
    silent: datetime,
    tail: Category,
    trial: int | None = None,
    share: Fraction = Fraction(1),
) -> list[Span]:
    """Overhead until training starts, productive until the last checkpoint, then ``tail``.

    A program that reports nothing (yet) has no known checkpoint: from ``silent`` on, all of its time is ``tail``. After
    a save on notice the program does no more work, so the rest of the interval is overhead, not lost work.
    """
    began = min((r.time for r in records), default=silent)
    kept = max((r.time for r in records if r.event in SAVED_EVENTS), default=began)
    left = max((r.time for r in records if r.event in LEAVING_EVENTS), default=end)
    moments = [start, began, kept, left, end]
    for i in range(1, len(moments)):  # clocks of two processes: keep the order, stay inside
        moments[i] = min(max(moments[i], moments[i - 1]), end)
    kinds = [Category.OVERHEAD, Category.PRODUCTIVE, tail, Category.OVERHEAD]
    return [Span(a, b, kind, trial, share) for (a, b), kind in zip(pairwise(moments), kinds, strict=True) if b > a]


def _clipped(holds: Iterable[CapacityShare], start: datetime, end: datetime) -> list[CapacityShare]:
    clipped = []
    for hold in holds:
        left, right = max(hold.start, start), min(hold.end or end, end)
        if right > left:
            clipped.append(CapacityShare(hold.trial, left, right, hold.share, hold.outcome))
    return clipped


def _trial_spans(attempt: Attempt, hold: CapacityShare, records: Sequence[ProgressRecord]) -> list[Span]:
    end = hold.end or attempt.ended_at or hold.start
    mine = [r for r in records if r.attempt == attempt.number and hold.start <= r.time]
    tail = _TRIAL_TAILS.get(hold.outcome, Category.LOST_WORK)
    spans = _cut(hold.start, end, mine, silent=end, tail=tail, trial=hold.trial, share=hold.share)
    if hold.outcome != "pruned":
        return spans
    return [replace(s, category=Category.PRUNED) if s.category is Category.PRODUCTIVE else s for s in spans]


def _shared(left: datetime, right: datetime, active: Sequence[Span], *, before_first: bool) -> list[Span]:
    total = sum((span.share for span in active), Fraction(0))
    scale = Fraction(1) if total <= 1 else 1 / total  # a resume can overlap the old hold by a moment
    spans = [Span(left, right, s.category, s.trial, s.share * scale) for s in active]
    rest = Fraction(1) - total * scale
    if rest > 0:
        spans.append(Span(left, right, Category.OVERHEAD if before_first else Category.IDLE, None, rest))
    return spans


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Adjacent spans of the same trial, category and share become one: fewer, readable rows."""
    joined: list[Span] = []
    newest: dict[tuple[int | None, Category, Fraction], int] = {}
    for span in spans:
        key = (span.trial, span.category, span.share)
        index = newest.get(key)
        if index is not None and joined[index].end == span.start:
            joined[index] = Span(joined[index].start, span.end, span.category, span.trial, span.share)
        else:
            newest[key] = len(joined)
            joined.append(span)
    return joined
