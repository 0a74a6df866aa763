"""The page stands alone, escapes everything and can be read without seeing colours."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sample_report import BASE, emulated_data, mixed_data, sample_data

from spotwise.scheduler.reports import ReportData, build_report, render_html
from spotwise.scheduler.reports.svg import ticks

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Collects tags and attributes, and refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(data: ReportData, refresh_s: int | None = None) -> str:
    return render_html(build_report(data), refresh_s)


def evil_data() -> ReportData:
    """Every name that a user chooses is hostile."""
    data = sample_data()
    runs = tuple(
        replace(r, job_name=EVIL, team=EVIL + r.team, project=EVIL + r.project, owner=EVIL, end_reason=EVIL)
        for r in data.runs
    )
    return replace(
        data,
        runs=runs,
        studies=tuple(replace(s, metric=EVIL) for s in data.studies),
        models=tuple(replace(m, model=EVIL, metric=EVIL) for m in data.models),
        team_budgets={EVIL: BASE.year * data.team_budgets["vision"]},
    )


@pytest.mark.parametrize("data", [sample_data(), emulated_data(), mixed_data(), evil_data()])
def test_the_page_is_well_formed_and_ids_are_unique(data: ReportData) -> None:
    page = Page(page_of(data))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hostile_names_are_text() -> None:
    """Nowhere do they become tags, in tables, charts or attributes."""
    html = page_of(evil_data())
    assert Page(html).named("script") == []
    assert "&lt;script&gt;alert(1)" in html


def test_the_page_asks_for_nothing() -> None:
    """No scripts, no fonts, no images: only what is in the file. Its own policy forbids the rest."""
    html = page_of(sample_data())
    page = Page(html)
    sources = [a[k] for _, a in page.tags for k in ("src", "href", "srcset", "data", "action") if k in a]
    assert sources == ["data:,"]
    assert not re.search(r"url\(|@import|https?://", html)
    (policy,) = [m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'")


def test_every_chart_has_a_title_a_description_and_its_numbers_as_a_table() -> None:
    html = page_of(sample_data())
    charts = Page(html).named("svg")
    assert len(charts) == 6
    for chart in charts:
        names = (chart["aria-labelledby"] or "").split()
        assert len(names) == 2 and all(f'id="{name}"' in html for name in names)
    panels = re.findall(r"<article.*?</article>", html, re.DOTALL)
    assert all("<table>" in panel for panel in panels if "<svg" in panel)


def test_money_of_the_page_is_that_of_the_report() -> None:
    html = page_of(sample_data())
    assert "$10.82" in html
    assert "Real money, estimated from list prices" in html


def test_emulated_money_is_said_before_any_amount() -> None:
    html = page_of(emulated_data())
    assert html.index("Emulated market: no real money was spent") < html.index("$")


def test_both_kinds_of_money_have_their_own_part() -> None:
    assert [s["aria-label"] for s in Page(page_of(mixed_data())).named("section")] == ["real money", "emulated money"]


def test_no_runs_yet_say_what_to_do() -> None:
    html = page_of(ReportData(now=BASE))
    assert "Submit a job (spotwise submit job.yaml)" in html
    assert Page(html).named("svg") == []


def test_a_run_that_waits_makes_a_page() -> None:
    """No attempts, no charges, no charts: still a page with its row."""
    (first, *_) = sample_data().runs
    assert first.id in page_of(ReportData(now=BASE, runs=(first,)))


def test_only_the_dashboard_loads_itself_again() -> None:
    assert 'http-equiv="refresh" content="10"' in page_of(sample_data(), refresh_s=10)
    assert 'http-equiv="refresh"' not in page_of(sample_data())


@pytest.mark.parametrize(
    ("maximum", "expected"),
    [
        (10, [0, 2, 4, 6, 8, 10]),
        (0.7, [0, 0.2, 0.4, 0.6]),
        (36.0, [0, 10, 20, 30]),
        (0, [0]),
        (1e-5, [0, 2e-6, 4e-6, 6e-6, 8e-6, 1e-5]),
    ],
)
def test_axes_have_round_numbers(maximum: float, expected: list[float]) -> None:
    assert ticks(maximum) == pytest.approx(expected)
