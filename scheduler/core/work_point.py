"""Moments at which a run's program said how far it is: what start-ups, checkpoints and speed are seen by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WorkPoint:
    """How far a run was at a moment of one of its attempts. The first point of an attempt is when its work began."""

    attempt: int  # number, from 1
    at: datetime
    share: float | None  # of all work, done or kept; None: nobody knows how much there is
    is_kept: bool  # whether a checkpoint was committed then
    position: tuple[int, int] = (0, 0)  # epochs and steps, in whatever the program counts; (0, 0): nothing, or unknown


@dataclass(frozen=True, slots=True)
class TrialPace:
    """What a trial of a sweep that has ended took."""

    epochs: int  # that it trained
    is_whole: bool  # False: it was stopped early
    held: tuple[tuple[int, float], ...]  # number of an attempt, and wall-clock seconds in which it trained there
