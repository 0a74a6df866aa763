"""The terminal's report is compared with golden files.

After a wanted change: ``SPOTWISE_TEST_UPDATE_GOLDEN=1 pytest`` with this file, then read the difference.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from sample_report import BASE, emulated_data, mixed_data, sample_data

from spotwise.scheduler.reports import ReportData, build_report, render_terminal
from spotwise.scheduler.reports.files import render_text

GOLDEN = Path(__file__).parents[3] / "golden" / "report"
STORIES: dict[str, Callable[[], ReportData]] = {
    "real": sample_data,
    "emulated": emulated_data,
    "mixed": mixed_data,
    "empty": lambda: ReportData(now=BASE),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_text_is_the_golden_one(name: str) -> None:
    text = render_text(build_report(STORIES[name]()))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("SPOTWISE_TEST_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("name", STORIES)
def test_text_fits_a_hundred_columns(name: str) -> None:
    assert max(len(line) for line in render_text(build_report(STORIES[name]())).splitlines()) <= 100


def test_a_pipe_gets_no_colours_and_no_rules() -> None:
    """Only ASCII, so that grep and mail programs can use it."""
    text = render_text(build_report(sample_data()))
    assert text.isascii()
    assert "\x1b" not in text


def test_a_terminal_gets_colours_and_rules() -> None:
    buffer = io.StringIO()
    render_terminal(build_report(sample_data()), Console(file=buffer, width=100, force_terminal=True))
    assert "\x1b[" in buffer.getvalue()
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" in buffer.getvalue()


def test_names_are_never_read_as_markup() -> None:
    """A job called [red]x[/red] is shown as that."""
    data = sample_data()
    runs = tuple(replace(run, job_name="[red]x[/red]") for run in data.runs)
    assert "[red]x[/red]" in render_text(build_report(replace(data, runs=runs)))


def test_no_runs_yet_say_what_to_do() -> None:
    assert "Submit a job (spotwise submit job.yaml)" in " ".join(
        render_text(build_report(ReportData(now=BASE))).split()
    )
