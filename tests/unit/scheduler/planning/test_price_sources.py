"""Sources asked at once: what is kept, for how long, and what happens to one that fails or hangs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from factories import T0, at, offer
from fake_sources import FakeSource, quote

from spotwise.cost_models.sources.base import (
    CapacityKind,
    CapacitySignal,
    HazardKind,
    HazardWitness,
    Machine,
    Reading,
    SourceQuery,
)
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.planning import price_sources
from spotwise.scheduler.planning.price_sources import FRESH, AskedSource, PriceSources, ago
from spotwise.scheduler.planning.reading_cache import KEPT_A_SOURCE, ReadingCache
from spotwise.scheduler.planning.reading_json import reading_json, reading_of

QUERY = SourceQuery((Machine("aws", "g4dn.xlarge", "T4", 1),), {"aws": ("us-east-1",)}, limit_s=20)
EVERYTHING = Reading(
    "AWS",
    T0,
    (
        quote("a", "0.30"),
        CapacitySignal(offer("a").pool, CapacityKind.PLACEMENT_SCORE, 7, 2, at(1)),
        HazardWitness(offer("a").pool, HazardKind.OWN_INTERRUPTIONS, 3, at(-24), T0, 71.5),
        HazardWitness(offer("b").pool, HazardKind.ESTIMATED_UPTIME, 1.0, at(-24), T0),
    ),
    ("supportability: not permitted",),
)


def sources(folder: Path, clock: ManualClock, *found: FakeSource) -> PriceSources:
    return PriceSources([AskedSource(each) for each in found], ReadingCache(folder), clock)


def test_a_reading_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    cache = ReadingCache(tmp_path / "readings")
    cache.keep("aws", "q", EVERYTHING)
    assert cache.kept("aws", "q") == EVERYTHING
    assert cache.kept("aws", "another question") is None
    assert cache.kept("gcp", "q") is None
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "readings").iterdir()] == [0o600]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"0.30"', '"NaN"'),
        lambda text: text.replace('"0.30"', '"0"'),
        lambda text: text.replace('"0.30"', '"-1"'),
        lambda text: text.replace('"0.30"', "0.30"),
        lambda text: text.replace('"spot"', '"reserved"'),
        lambda text: text.replace('"quote"', '"rumour"'),
        lambda text: text.replace("2026-03-01T12", "12026-03-01T12"),
        lambda text: text.replace('"value": 7', '"value": NaN'),
        lambda text: text.replace('"rows": [', '"rows": [3, '),
    ],
)
def test_a_damaged_file_is_as_if_it_were_not_there(tmp_path: Path, damage) -> None:
    cache = ReadingCache(tmp_path)
    cache.keep("aws", "q", EVERYTHING)
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    assert damage(text) != text
    file.write_text(damage(text))
    assert cache.kept("aws", "q") is None


def test_only_so_many_answers_are_kept(tmp_path: Path) -> None:
    cache = ReadingCache(tmp_path)
    for number in range(KEPT_A_SOURCE + 3):
        cache.keep("aws", str(number), EVERYTHING)
    cache.keep("gcp", "q", EVERYTHING)
    assert len(list(tmp_path.glob("aws-*"))) == KEPT_A_SOURCE
    assert cache.kept("gcp", "q") is not None


def test_what_another_version_wrote_is_json_with_its_number() -> None:
    assert reading_of(json.loads(json.dumps(reading_json(EVERYTHING)))) == EVERYTHING


def test_a_fresh_answer_is_not_asked_for_again(tmp_path: Path) -> None:
    clock, source = ManualClock(T0), FakeSource(rows=[quote()])
    for _ in range(2):  # the second as by another command
        (answer,) = sources(tmp_path, clock, source).ask(QUERY)
        assert answer.reading.rows == (quote(),)
        clock.moment += FRESH
    assert len(source.asked) == 1
    assert (answer.age, answer.age_text()) == (FRESH, "read 15 min ago")
    sources(tmp_path, clock, source).ask(QUERY)
    assert len(source.asked) == 2


def test_refresh_asks_although_the_answer_is_fresh(tmp_path: Path) -> None:
    clock, source = ManualClock(T0), FakeSource(rows=[quote()])
    for _ in range(2):
        sources(tmp_path, clock, source).ask(QUERY, refresh=True)
    assert len(source.asked) == 2


def test_an_answer_from_the_future_is_asked_for_again(tmp_path: Path) -> None:
    """The clock may have been set back since."""
    source = FakeSource(rows=[quote()])
    sources(tmp_path, ManualClock(at(5)), source).ask(QUERY)
    sources(tmp_path, ManualClock(T0), source).ask(QUERY)
    assert len(source.asked) == 2


def test_where_a_source_fails_its_last_answer_is_shown_as_stale(tmp_path: Path) -> None:
    clock = ManualClock(T0)
    sources(tmp_path, clock, FakeSource(rows=[quote()])).ask(QUERY)
    clock.moment += timedelta(hours=3)
    (answer,) = sources(tmp_path, clock, FakeSource(skipped=["no credentials"])).ask(QUERY)
    assert answer.reading.rows == (quote(),)
    assert answer.reading.skipped == ("no credentials",)
    assert (answer.is_stale, answer.age_text()) == (True, "read 3 h ago, stale")


def test_a_source_that_raises_does_not_end_the_others(tmp_path: Path) -> None:
    broken, whole = FakeSource("gcp", fault=ZeroDivisionError("x")), FakeSource("aws", rows=[quote()])
    first, second = sources(tmp_path, ManualClock(T0), broken, whole).ask(QUERY)
    assert (first.name, first.reading.rows, first.reading.skipped) == ("gcp", (), ("it failed: ZeroDivisionError: x",))
    assert second.reading.rows == (quote(),)


def test_a_source_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_sources, "SLACK_S", 0.02)
    hanging, whole = FakeSource("gcp", hangs=True), FakeSource("aws", rows=[quote()])
    query = SourceQuery(QUERY.machines, QUERY.regions, limit_s=0.1)
    first, second = sources(tmp_path, ManualClock(T0), hanging, whole).ask(query)
    hanging.go_on.set()
    assert first.reading.skipped == ("no answer within 0.1 s",)
    assert second.reading.rows == (quote(),)


def test_another_endpoint_or_region_is_another_question(tmp_path: Path) -> None:
    source, cache, clock = FakeSource(rows=[quote()]), ReadingCache(tmp_path), ManualClock(T0)
    PriceSources([AskedSource(source, "http://one")], cache, clock).ask(QUERY)
    PriceSources([AskedSource(source, "http://two")], cache, clock).ask(QUERY)
    elsewhere = SourceQuery(QUERY.machines, {"aws": ("eu-west-1",)})
    PriceSources([AskedSource(source, "http://two")], cache, clock).ask(elsewhere)
    assert len(source.asked) == 3


def test_what_says_nothing_is_not_kept(tmp_path: Path) -> None:
    source = FakeSource(skipped=["no credentials"])
    for _ in range(2):
        (answer,) = sources(tmp_path, ManualClock(T0), source).ask(QUERY)
        assert (answer.reading.rows, answer.is_stale) == ((), False)
    assert len(source.asked) == 2


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "just now"),
        (-0.01, "just now"),
        (1, "1 min ago"),
        (119, "119 min ago"),
        (120, "2 h ago"),
        (2880, "2 days ago"),
        (-5, "in the future"),
    ],
)
def test_ages_are_said_shortly(minutes: float, text: str) -> None:
    assert ago(timedelta(minutes=minutes)) == text
