"""The crontab lines that start a nightly. Pure.

The line starts the nightly every hour, at the minute of the calendar, every day. Due or not is for the calendar to say:
outside of it a call ends within a second with exit code 5. One line a day would be read in the machine's zone (Debian's
cron knows no CRON_TZ), would meet a switch of summer time twice or never, and would catch up a missed night a day late.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import InputError
from ..jobfile.names import is_variable
from .calendar import Calendar

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def crontab_line(
    config: Path, calendar: Calendar, *, python: Path, home: Path, env: Mapping[str, str] | None = None
) -> str:
    """The line. Paths must be absolute, as cron starts in the user's home folder and with nearly no environment.

    ``env`` is added in front as it is: pass no secrets. ``PATH`` starts with the interpreter's folder unless given, so
    that a job's ``run: python train.py`` means the same Python.

    Raises:
        InputError: a path that is not absolute, or characters that a crontab cannot hold.
    """
    for path in (config, python, home):
        if not path.is_absolute():
            raise InputError(f"{path}: a crontab needs absolute paths")
    variables = {"PATH": f"{python.parent}:{_SYSTEM_PATH}"} | dict(env or {}) | {"SPOTWISE_HOME": str(home)}
    settings = [f"{_variable(name)}={_quote(value)}" for name, value in variables.items()]
    command = [str(python), "-P", "-m", "spotwise.scheduler.cli", "nightly", str(config)]
    log = home / f"nightly-{config.stem}.log"
    minute = int(calendar.at.partition(":")[2])
    words = [*settings, *map(_quote, command), ">>", _quote(str(log)), "2>&1"]
    return f"{minute} * * * * " + " ".join(words)


def crontab_text(
    config: Path, calendar: Calendar, *, python: Path, home: Path, env: Mapping[str, str] | None = None
) -> str:
    """The line with comments that tell a reader of the crontab what it does."""
    line = crontab_line(config, calendar, python=python, home=home, env=env)
    days = "every day" if calendar.days is None else ", ".join(calendar.days)
    return (
        f"# spotwise: {config.name}, due {calendar.at} {calendar.timezone}, {days}.\n"
        "# Started every hour: what is not due ends at once (exit code 5), what was missed is caught up.\n"
        "# The zone and the days are the calendar's; CRON_TZ and the machine's zone change nothing but the minute.\n"
        f"{line}\n"
    )


def _variable(name: str) -> str:
    if not is_variable(name):
        raise InputError(f"{name!r} is no name of an environment variable")
    return name


def _quote(word: str) -> str:
    """For the shell, then for cron, which ends the command at a bare ``%`` whatever quotes surround it."""
    if not word.isprintable() or "\\" in word:
        raise InputError(f"{word!r}: line breaks, control characters and backslashes cannot stand in a crontab")
    return shlex.quote(word).replace("%", "\\%")
