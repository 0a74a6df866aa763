"""What `spotwise doctor` says of an installation, and its exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import factories
import pytest
from click.testing import CliRunner

from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.doctor_view import checks_json, exit_code
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.diagnostics import doctor
from spotwise.scheduler.diagnostics.check import Check, CheckStatus
from spotwise.scheduler.diagnostics.doctor import examine
from spotwise.scheduler.store import Store

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def examined(home: Path, settings: str = "", engine: str | None = None) -> dict[str, Check]:
    file = home.parent / "given.yaml"
    if settings:
        file.write_text(settings)
    found = examine(file if settings else None, engine, {"SPOTWISE_HOME": str(home)}, home.parent)
    return {check.name: check for check in found}


def test_a_new_installation_is_well_and_looking_at_it_makes_nothing(home: Path) -> None:
    found = examined(home)
    assert {check.verdict for check in found.values()} == {CheckStatus.OK}
    assert found["settings"].found == "no file, so the defaults hold; engine local"
    assert "made on first use" in found["home"].found
    assert not home.exists()


def test_the_settings_file_and_its_engine_are_named(home: Path) -> None:
    found = examined(home, "engine: local\nlocal: {price_usd_per_hour: 0.25}\n")
    assert found["settings"].found == f"{home.parent}/given.yaml; engine local"


def test_all_faults_of_the_settings_are_said_and_the_rest_is_still_looked_at(home: Path) -> None:
    found = examined(home, "engin: local\ntick: soon\n")
    assert found["settings"].verdict is CheckStatus.FAILED
    assert "engin: unknown key" in found["settings"].found
    assert "tick" in found["settings"].found
    assert set(found) == {"settings", "home", "disk"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which not even root can write")
def test_a_home_that_cannot_be_written_must_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert doctor.home_check(Path("/proc/spotwise")).verdict is CheckStatus.FAILED


def test_a_home_that_is_a_file_must_be_mended(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert doctor.home_check(tmp_path / "home").verdict is CheckStatus.FAILED


@pytest.mark.parametrize(("free_gib", "verdict"), [(50, "OK"), (2.0, "OK"), (1.9, "WARNING"), (0.09, "FAILED")])
def test_free_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_gib: float, verdict: str) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_gib * doctor.GIB))
    check = doctor.disk_check(tmp_path)
    assert check.verdict is CheckStatus[verdict]
    assert f"{free_gib:.1f} GiB free" in check.found


def test_the_store_says_what_is_in_it(home: Path) -> None:
    store = Store.open(f"sqlite:///{home / 'spotwise.db'}")
    store.add_run(factories.run(), "key")
    store.close()
    assert examined(home)["store"].found == "opens: 1 run, 1 active"


def test_a_store_that_does_not_open_must_be_mended(home: Path) -> None:
    home.mkdir()
    (home / "spotwise.db").write_text("no database" * 100)
    assert examined(home)["store"].verdict is CheckStatus.FAILED


@pytest.mark.parametrize(
    ("now", "wall", "verdict"),
    [
        (NOW, SECOND, "OK"),
        (NOW, 1.15 * SECOND, "OK"),
        (NOW, 60 * SECOND, "WARNING"),  # it was set
        (NOW, -60 * SECOND, "WARNING"),
        (datetime(1970, 1, 1, tzinfo=UTC), SECOND, "FAILED"),
    ],
)
def test_the_clock(now: datetime, wall: timedelta, verdict: str) -> None:
    assert doctor.clock_check(now, wall, SECOND).verdict is CheckStatus[verdict]


@pytest.mark.parametrize(
    ("engine", "ray", "verdict", "says"),
    [
        ("local", "2.60.0", "OK", "optuna 5.0, ray 2.60.0"),
        ("local", None, "WARNING", "ray is not installed: sweeps fail"),
        ("skypilot", None, "OK", "nodes install the newest"),
    ],
)
def test_what_sweeps_need(engine: str, ray: str | None, verdict: str, says: str) -> None:
    check = doctor.sweeps_check(engine, {"optuna": "5.0", "ray": ray})
    assert check.verdict is CheckStatus[verdict]
    assert says in check.found


def test_the_emulated_market_is_said_to_be_no_real_money(home: Path) -> None:
    market = Path(__file__).parents[4] / "configs" / "markets" / "demo.yaml"
    assert "no real money" in examined(home, f"local: {{market: {market}}}\n")["local"].found


def test_an_engine_that_does_not_exist_is_bad_input(home: Path) -> None:
    with pytest.raises(InputError, match="there is no engine 'skypilto'"):
        examined(home, engine="skypilto")


@pytest.mark.parametrize(("verdicts", "code"), [(["OK"], 0), (["OK", "WARNING"], 0), (["WARNING", "FAILED", "OK"], 2)])
def test_only_what_must_be_mended_is_a_failure(verdicts: list[str], code: int) -> None:
    checks = [Check("x", CheckStatus[verdict], "found") for verdict in verdicts]
    assert exit_code(checks) == code
    assert checks_json(checks)["ok"] is (code == 0)


def test_the_command_prints_a_table_or_json(home: Path) -> None:
    shown = CliRunner().invoke(main.cli, ["doctor"], standalone_mode=False)
    assert (shown.return_value, shown.exception) == (0, None)
    assert "7 checks: 0 failed" in shown.stdout
    said = json.loads(CliRunner().invoke(main.cli, ["doctor", "--json"], standalone_mode=False).stdout)
    assert said["ok"] is True
    assert said["checks"][0] == {
        "check": "settings",
        "verdict": "ok",
        "found": "no file, so the defaults hold; engine local",
        "fix": None,
    }


def test_the_command_fails_where_something_must_be_mended(home: Path) -> None:
    (home.parent / "bad.yaml").write_text("tick: soon\n")
    result = CliRunner().invoke(main.cli, ["--settings", "bad.yaml", "doctor"], standalone_mode=False)
    assert result.return_value == 2
    assert "failed" in result.stdout
