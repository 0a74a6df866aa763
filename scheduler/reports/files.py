"""Writes the three files of a report. Each appears whole or not at all."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from spotwise.checkpoints.atomic_file import write_atomic

from ..core.errors import InputError
from .data import ReportData
from .focus import focus_csv
from .html import render_html
from .report import Report
from .terminal import render_terminal


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the report was written."""

    html: Path
    text: Path
    focus_csv: Path


def write_reports(report: Report, data: ReportData, out: Path) -> Paths:
    """Write ``report.html``, ``report.txt`` and ``focus.csv`` into ``out``, which is made if missing.

    All three are made before the first is written, so a fault in one leaves the old ones as they were.

    Raises:
        InputError: the folder cannot be written.
    """
    contents = {
        "report.html": render_html(report),
        "report.txt": render_text(report),
        "focus.csv": focus_csv(data),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            write_atomic(out / name, text)
    except OSError as error:
        raise InputError(f"cannot write the report to {out}: {error}; name a folder that can be written") from error
    return Paths(out / "report.html", out / "report.txt", out / "focus.csv")


def render_text(report: Report, width: int = 100) -> str:
    """The terminal's report as plain text."""
    buffer = io.StringIO()
    render_terminal(report, Console(file=buffer, width=width, force_terminal=False, color_system=None))
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())
