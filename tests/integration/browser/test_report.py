"""The HTML report in a real browser (Chromium, headless): no errors, no requests, readable on a desk and on a phone.

The screenshots are kept in pytest's temporary folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import browse, console_messages, size_of
from sample_report import BASE, emulated_data, mixed_data, sample_data

from spotwise.scheduler.reports import ReportData, build_report, write_reports

# The page is framed at the asked width: Chromium's own window is never narrower than 500 pixels. The probe measures it.
FRAME = """<!DOCTYPE html><body style="margin:0">
<iframe id="page" src="PAGE" style="width:WIDTHpx;height:HEIGHTpx;border:0"></iframe><pre id="probe"></pre><script>
document.getElementById("page").onload = event => {
  const page = event.target.contentDocument, root = page.documentElement;
  const boxes = [...page.querySelectorAll("svg.chart")].map(chart => chart.getBoundingClientRect());
  document.getElementById("probe").textContent = JSON.stringify({
    overflow: root.scrollWidth - root.clientWidth,
    charts: boxes.filter(box => box.width > 200 && box.height > 40).length,
    resources: event.target.contentWindow.performance.getEntriesByType("resource").length,
    title: page.title });
};
</script></body>"""


def report_page(tmp_path: Path, data: ReportData) -> Path:
    return write_reports(build_report(data), data, tmp_path / "report").html


@pytest.mark.slow
@pytest.mark.parametrize(("device", "width", "height"), [("desk", 1280, 3600), ("phone", 390, 7200)])
@pytest.mark.parametrize("story", [sample_data, emulated_data, mixed_data], ids=["real", "emulated", "mixed"])
def test_the_page_fits_asks_for_nothing_and_draws_its_charts(
    tmp_path: Path, story: Callable[[], ReportData], device: str, width: int, height: int
) -> None:
    page = report_page(tmp_path, story())
    frame = tmp_path / f"{device}.html"
    size = FRAME.replace("PAGE", page.as_uri()).replace("WIDTH", str(width)).replace("HEIGHT", str(height))
    frame.write_text(size, encoding="utf-8")
    shown = browse(tmp_path, frame.as_uri(), "--dump-dom", "--virtual-time-budget=4000")
    assert console_messages(shown.stderr) == []
    probe = json.loads(re.search(r'<pre id="probe">(.*?)</pre>', shown.stdout, re.DOTALL)[1])
    sections = len(build_report(story()).sections)
    assert probe["title"] == "Cost report, November 2026"
    assert (probe["overflow"], probe["resources"]) == (0, 0)
    assert probe["charts"] == 6 * sections


@pytest.mark.slow
@pytest.mark.parametrize(("device", "width", "height"), [("desk", 1280, 3400), ("phone", 500, 6000)])
def test_a_screenshot_is_not_blank(tmp_path: Path, device: str, width: int, height: int) -> None:
    """An empty page of this size compresses to a few kilobytes."""
    page = report_page(tmp_path, sample_data())
    picture = tmp_path / f"{device}.png"
    browse(tmp_path, page.as_uri(), f"--window-size={width},{height}", f"--screenshot={picture}")
    content = picture.read_bytes()
    assert size_of(content)[0] == width
    assert len(content) > 60_000


@pytest.mark.slow
def test_the_page_prints(tmp_path: Path) -> None:
    """A4, a handful of pages."""
    page = report_page(tmp_path, sample_data())
    paper = tmp_path / "report.pdf"
    browse(tmp_path, page.as_uri(), "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
    assert 3 <= pages <= 8


@pytest.mark.slow
def test_an_empty_report_is_a_page_too(tmp_path: Path) -> None:
    page = report_page(tmp_path, ReportData(now=BASE))
    shown = browse(tmp_path, page.as_uri(), "--dump-dom", "--virtual-time-budget=1000")
    assert "Submit a job" in shown.stdout
    assert console_messages(shown.stderr) == []


def test_errors_of_a_page_would_be_seen(tmp_path: Path) -> None:
    """The check itself: a page that logs an error is caught."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>throw new Error('seen')</script>", encoding="utf-8")
    shown = browse(tmp_path, broken.as_uri(), "--dump-dom", "--virtual-time-budget=1000")
    assert any("seen" in message for message in console_messages(shown.stderr))
