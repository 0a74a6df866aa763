"""The steady clock of a machine: no setting of the wall clock moves it, and all processes of one boot share it."""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Linux's own name for a clock that goes on while the machine sleeps, as the wall clock does; elsewhere this one does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def steady_s() -> float:
    """Seconds since some moment, the same for all processes until the machine boots again."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def boot_id() -> str:
    """Names what `steady_s` counts from; "" where that cannot be told, and is not to be compared."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
