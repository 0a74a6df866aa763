"""One clock for all processes that work in one home, as long as the machine has not booted anew.

A process goes on by the steady clock when the wall clock is set. The next one must not start from what is shown then:
by its clock an attempt of before would have lasted, and cost, hours more. So the first one writes down how its clock
was set, and the others take that over. Once nothing is active any more, the wall clock holds again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.strict_json import Fields, UnreadableError

from ..node_agent.steady_clock import boot_id, steady_s
from .clock import LARGEST_STEP, SystemClock, wall_clock

NAME = "clock.json"
_SAME = timedelta(milliseconds=50)  # the wall clock and what is written down differ by less: nothing to write
_log = logging.getLogger(__name__)


def shared_clock(
    home: Path,
    is_busy: Callable[[], bool],
    *,
    wall: Callable[[], datetime] = wall_clock,
    steady: Callable[[], float] = steady_s,
    boot: str | None = None,
) -> SystemClock:
    """The clock of a home.

    Args:
        is_busy: whether something is active that lasts; asked only where the wall clock was set since.
        boot: names what ``steady`` counts from; default: this machine's.
    """
    path, since = home / NAME, boot_id() if boot is None else boot
    now, told = wall(), _read(path, since, steady())
    jump = timedelta(0) if told is None else now - told
    if told is not None and abs(jump) > LARGEST_STEP and is_busy():
        _log.warning("the machine's clock was set by %s while runs are active: they go on by the steady clock", jump)
        return SystemClock(wall, steady, start=told)
    if since and (told is None or abs(jump) > _SAME):
        _write(path, since, now, steady())
    return SystemClock(wall, steady)


def _read(path: Path, since: str, steady: float) -> datetime | None:
    """What the home's clock shows now; None where nobody has set it since the machine booted."""
    try:
        kept = Fields.of(path.read_bytes())
        shown = kept.moment("shown") + timedelta(seconds=steady - kept.number("steady_s", low=0))
        return shown if since and kept.text("boot") == since else None
    except (OSError, UnreadableError, OverflowError):
        return None


def _write(path: Path, since: str, now: datetime, steady: float) -> None:
    try:
        write_atomic(path, json.dumps({"boot": since, "shown": now.isoformat(), "steady_s": steady}), mode=0o600)
    except OSError as error:  # a home that cannot be written shows that elsewhere
        _log.debug("the clock of %s cannot be kept: %s", path.parent, error)
