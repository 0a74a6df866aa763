"""What can happen to a run: the kinds of its events. The text beside an event is for people."""

from __future__ import annotations

from enum import StrEnum

from .run import AttemptState


class EventKind(StrEnum):
    """What happened to a run, or to an attempt of it."""

    PLACED = "placed"  # an attempt was recorded and is about to be launched
    WAITING = "waiting"  # nothing is to be had that the policy wants: it looks again later
    MIGRATING = "migrating"  # an attempt was told to leave, to continue elsewhere
    STOPPING = "stopping"  # an attempt was told to leave for good: the budget is nearly spent
    UNSAVED = "unsaved"  # a spot machine was lost, and the run keeps no more than before it had it
    LATE = "late"  # the deadline will more likely be missed than met, as far as is known now
    FAULT = "fault"  # something could not be done now and is tried again
    UNREADABLE = "unreadable"  # a machine wrote a line that cannot be read: it is passed over
    INCOMPLETE = "incomplete"  # the run completed below the work that its job file states
    ENDED = "ended"  # the run is over

    # an attempt has ended; one for each final `AttemptState`
    COMPLETED = "completed"  # the training program ended well
    PREEMPTED = "preempted"  # the market took the capacity back
    FAILED = "failed"  # the training program or its set-up crashed, or the launch did
    CANCELLED = "cancelled"  # ended by us for good
    MIGRATED = "migrated"  # ended by us to continue elsewhere
    LOST = "lost"  # the machine went away, and nobody knows why
    REFUSED = "refused"  # no capacity: nothing started, nothing billed


ATTEMPT_ENDS = frozenset(EventKind(state.value) for state in AttemptState if state.is_final)


def event_kind(text: str) -> EventKind | str:
    """The kind with this value; the text itself where a newer version wrote a kind that is not known here."""
    try:
        return EventKind(text)
    except ValueError:
        return text
