"""Reports are written whole or not at all."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from sample_report import BASE, mixed_data, sample_data

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.reports import ReportData, build_report, report_json, write_reports


def test_three_files_are_written(tmp_path: Path) -> None:
    """Into a folder that is made, and nothing else is left there."""
    data = sample_data()
    paths = write_reports(build_report(data), data, tmp_path / "new" / "folder")
    assert sorted(p.name for p in paths.html.parent.iterdir()) == ["focus.csv", "report.html", "report.txt"]
    assert paths.html.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert paths.text.read_text("utf-8").startswith("Cost report, November 2026")
    assert paths.focus_csv.read_bytes().startswith(b"AvailabilityZone,BilledCost")


def test_a_disk_that_fails_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is injected where data become durable; neither a half file nor a temporary one stays."""
    data = ReportData(now=BASE)
    paths = write_reports(build_report(data), data, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    changed = sample_data()
    with pytest.raises(InputError, match="No space left on device"):
        write_reports(build_report(changed), changed, tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert paths.html in before


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The name of a file stands in the way."""
    (tmp_path / "taken").write_text("")
    data = ReportData(now=BASE)
    with pytest.raises(InputError, match="taken"):
        write_reports(build_report(data), data, tmp_path / "taken")


def test_the_same_data_give_the_same_files(tmp_path: Path) -> None:
    data = sample_data()
    first, second = (write_reports(build_report(data), data, tmp_path / name) for name in ("one", "two"))
    assert first.html.read_bytes() == second.html.read_bytes()
    assert first.focus_csv.read_bytes() == second.focus_csv.read_bytes()


def test_the_json_has_money_as_decimal_strings_and_times_in_utc() -> None:
    document = json.loads(json.dumps(report_json(build_report(sample_data()))))
    (section,) = document["sections"]
    booked = section["total"]["booked_usd"]
    assert isinstance(booked, str)
    assert Decimal(booked) == build_report(sample_data()).sections[0].total.booked_usd
    assert document["generated_at"] == "2026-11-07T12:00:00Z"
    assert document["format"] == 1


def test_the_jsons_keys_are_stable() -> None:
    """Scripts read them: renaming one is a new format."""
    document = report_json(build_report(mixed_data()))
    assert set(document) == {"format", "generated_at", "month", "sections", "unreadable"}
    assert list(document["sections"][0]) == [
        *("money", "notice", "total", "month", "bases", "teams", "budgets", "over_time", "markets", "outcomes"),
        *("preemptions", "work_kept_share", "net", "studies", "past_savings", "models", "predictions", "coverage"),
        *("runs", "timeline"),
    ]
    assert list(document["sections"][0]["total"]) == [
        *("booked_usd", "running_usd", "hours", "on_demand_usd", "saved_usd", "saved_share"),
        *("not_comparable_usd", "categories"),
    ]
