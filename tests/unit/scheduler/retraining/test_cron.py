from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.retraining.calendar import Calendar
from spotwise.scheduler.retraining.cron import crontab_line, crontab_text

CONFIG = Path("/srv/jobs/digits.yaml")
PYTHON = Path("/srv/venv/bin/python")
HOME = Path("/srv/spotwise")


def command_of(line: str) -> str:
    """What the shell gets: the sixth field, cut at a bare % and with escaped ones restored (crontab(5))."""
    command = line.split(" ", 5)[5]
    return re.split(r"(?<!\\)%", command)[0].replace("\\%", "%")


def test_the_line_as_documented() -> None:
    assert crontab_line(CONFIG, Calendar("02:00"), python=PYTHON, home=HOME) == (
        "0 * * * * PATH=/srv/venv/bin:/usr/local/bin:/usr/bin:/bin SPOTWISE_HOME=/srv/spotwise "
        "/srv/venv/bin/python -P -m spotwise.scheduler.cli nightly /srv/jobs/digits.yaml "
        ">> /srv/spotwise/nightly-digits.log 2>&1"
    )


@pytest.mark.parametrize("days", [None, ("mon", "fri")])
def test_it_starts_every_hour_of_every_day_at_the_calendars_minute(days: tuple[str, ...] | None) -> None:
    """The weekdays stay with the calendar: Monday 02:00 in Auckland is Sunday on a machine in UTC."""
    line = crontab_line(CONFIG, Calendar("02:45", days, "Pacific/Auckland"), python=PYTHON, home=HOME)
    assert line.startswith("45 * * * * ")


def test_spaces_quotes_and_percent_signs_reach_the_program(tmp_path: Path) -> None:
    """Run through a real shell after cron's own rules: every argument arrives as it was."""
    home = tmp_path / "o'brien's 100% $HOME"
    home.mkdir()
    config = home / "my job.yaml"
    python = home / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$SPOTWISE_HOME" "$NOTE"\n')
    python.chmod(0o755)
    line = crontab_line(config, Calendar(), python=python, home=home, env={"NOTE": "5% off; rm -rf x"})
    subprocess.run(["/bin/sh", "-c", command_of(line)], check=True, cwd=tmp_path, env={})
    assert (home / "nightly-my job.log").read_text().splitlines() == [
        "-P",
        "-m",
        "spotwise.scheduler.cli",
        "nightly",
        str(config),
        str(home),
        "5% off; rm -rf x",
    ]


def test_a_given_path_variable_wins() -> None:
    line = crontab_line(CONFIG, Calendar(), python=PYTHON, home=HOME, env={"PATH": "/opt/bin"})
    assert [word for word in shlex.split(line) if word.startswith("PATH=")] == ["PATH=/opt/bin"]


@pytest.mark.parametrize(
    ("config", "env"),
    [
        (Path("digits.yaml"), {}),  # relative
        (Path("/srv/two\nlines.yaml"), {}),
        (Path("/srv/back\\slash.yaml"), {}),
        (CONFIG, {"NOT A NAME": "x"}),
        (CONFIG, {"A": "x\n0 0 * * * rm -rf /"}),
    ],
)
def test_what_a_crontab_cannot_hold_is_refused(config: Path, env: dict[str, str]) -> None:
    with pytest.raises(InputError):
        crontab_line(config, Calendar(), python=PYTHON, home=HOME, env=env)


def test_the_text_is_comments_and_the_line() -> None:
    text = crontab_text(CONFIG, Calendar("02:00", ("mon",), "Europe/Berlin"), python=PYTHON, home=HOME)
    *comments, line = text.splitlines()
    assert all(comment.startswith("# ") for comment in comments)
    assert "02:00 Europe/Berlin, mon" in comments[0]
    assert line == crontab_line(CONFIG, Calendar("02:00"), python=PYTHON, home=HOME)
