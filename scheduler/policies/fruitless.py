"""Spot capacity that gets a run no further: it is lost again and again before anything more is kept than before.

Set-up, the way to the first checkpoint or what comes after the last one may take longer than machines live there. Then
every attempt is paid for and none of them is worth anything, whatever a forecast says of the next one. On-demand
capacity is not taken back, so one attempt on it shows what the run can do; once it keeps more, spot counts again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core.text import counted
from .base import Decision, Situation, Stop

UNSEEN_LIMIT = 2  # losses in a row, of a run that was never seen to keep anything: it may not be able to
SEEN_LIMIT = 3  # of one that was: three such losses are hardly bad luck
PATIENT_LIMIT = 6  # of the same, where the job file allows nothing but spot capacity


def fruitless_limit(situation: Situation, *, patient: bool = False) -> int:
    """At how many losses in a row, with nothing more kept, spot capacity is given up."""
    if not situation.checkpoint_seen:
        return UNSEEN_LIMIT
    return PATIENT_LIMIT if patient else SEEN_LIMIT


def is_fruitless(situation: Situation, *, patient: bool = False) -> bool:
    """Whether spot capacity has shown that it gets the run no further."""
    return situation.fruitless >= fruitless_limit(situation, patient=patient)


def without_spot(situation: Situation, decide: Callable[[Situation], Decision]) -> Decision:
    """What ``decide`` does where only on-demand capacity is offered (and what is held); stop where there is none."""
    left = tuple(c for c in situation.candidates if not c.offer.is_spot or c.offer == situation.current)
    if situation.current is None and not left:
        return Stop(f"{lost_in_vain_text(situation)}, and no on-demand offer can do this work")
    decision = decide(replace(situation, candidates=left, fruitless=0))
    return replace(decision, reason=f"{decision.reason}; no spot: {lost_in_vain_text(situation)}")


def warning(lost: int, policy: str, *, checkpoint_seen: bool) -> str:
    """What a person is told when a spot machine was lost in vain, for the ``lost``-th time in a row."""
    patient = policy == "spot_only"
    limit = UNSEEN_LIMIT if not checkpoint_seen else PATIENT_LIMIT if patient else SEEN_LIMIT
    kept = "the run keeps no more than before" if checkpoint_seen else "no checkpoint of this run was ever seen"
    then = "the run stops" if patient else "the run goes on demand"
    when = f"{lost} in a row" if lost >= limit else f"at {limit} in a row, of which this is no. {lost}"
    return f"{kept}: what was paid for this machine is lost; {when}, {then}"


def lost_in_vain_text(situation: Situation) -> str:
    """``2 spot machines in a row were lost with nothing kept, the longest-lived after 1.2 h``"""
    more = "nothing more kept than before" if situation.checkpoint_seen else "nothing kept"
    lost = counted(situation.fruitless, "spot machine")
    return f"{lost} in a row lost with {more}, the longest-lived after {situation.fruitless_hours:.2g} h"
