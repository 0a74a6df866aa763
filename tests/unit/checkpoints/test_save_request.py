"""A request to save now is a touched file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spotwise.checkpoints.save_request import SaveRequest


def test_with_no_path_nothing_is_ever_requested() -> None:
    assert not SaveRequest(None).arrived()


def test_a_file_that_appears_is_one_request(tmp_path: Path) -> None:
    request = SaveRequest(str(tmp_path / "save"))
    assert not request.arrived()
    (tmp_path / "save").touch()
    assert [request.arrived(), request.arrived()] == [True, False]


def test_a_file_touched_backwards_in_time_is_a_request(tmp_path: Path) -> None:
    """Clocks are set back, and a restored file may be older."""
    (tmp_path / "save").touch()
    request = SaveRequest(str(tmp_path / "save"))
    os.utime(tmp_path / "save", (1, 1))
    assert request.arrived()


def test_a_program_that_changes_its_folder_still_finds_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = SaveRequest("save")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "save").touch()
    assert request.arrived()


def test_a_place_that_cannot_be_looked_at_is_no_request(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not SaveRequest(str(tmp_path / "file" / "save")).arrived()
