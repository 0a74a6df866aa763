"""Reports: where the money went, in the terminal, as HTML, as JSON and as a FOCUS 1.2 CSV."""

from .aggregate import build_report
from .as_json import report_json
from .data import ModelRow, ReportData
from .files import Paths, write_reports
from .focus import focus_csv
from .html import render_html
from .report import Report, Section
from .terminal import render_terminal

__all__ = [
    "ModelRow",
    "Paths",
    "Report",
    "ReportData",
    "Section",
    "build_report",
    "focus_csv",
    "render_html",
    "render_terminal",
    "report_json",
    "write_reports",
]
