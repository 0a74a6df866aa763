"""The command line itself: exit codes, messages, help, and what it must not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.exit_codes import run_command
from spotwise.scheduler.core.errors import CapacityError, JobFileError, NotFoundError, RefusedError, StoreError

HEAVY = ["google", "numpy", "optuna", "psycopg", "pydantic", "ray", "rich", "scipy", "sky", "sqlalchemy", "torch"]


pytestmark = pytest.mark.usefixtures("home")


def outcome_of(error: BaseException | None) -> int:
    def command() -> None:
        if error is not None:
            raise error

    return run_command(command)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (JobFileError(["job.yaml:1: name: found 3; allowed: text"]), 2),
        (NotFoundError("no run is called x"), 2),
        (click.UsageError("no such option"), 2),
        (RefusedError("the budget is too small"), 3),
        (CapacityError("no capacity"), 4),
        (StoreError("the store failed"), 70),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
)
def test_exit_code_of_every_end(error: BaseException | None, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Expected ends have their own exit code, a message where there is one to give, and never a traceback."""
    assert outcome_of(error) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert str(error) in said or code in {0, 2, 130}


def test_unexpected_error_is_said_to_be_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome_of(ZeroDivisionError("x")) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "a fault of spotwise itself (ZeroDivisionError)" in said.splitlines()[-1]


def test_every_command_is_described() -> None:
    """spotwise --help has a sentence for each, and each has its own help."""
    for name, command in main.cli.commands.items():
        assert command.help, name
        assert CliRunner().invoke(main.cli, [name, "--help"]).exit_code == 0


def test_commands_of_the_design_are_all_there() -> None:
    wanted = {"plan", "submit", "supervise", "status", "logs", "cancel", "nightly", "report", "prices", "validate"}
    assert wanted <= set(main.cli.commands)


def test_validate_checks_every_file(tmp_path: Path) -> None:
    """A fault in the first does not hide the second."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("name: good\nrun: echo hi\n")
    bad.write_text("name: bad\nrun: echo hi\nbudjet: 3\n")
    result = CliRunner().invoke(main.cli, ["validate", str(bad), str(good)], standalone_mode=False)
    assert result.return_value == 2
    assert "budjet" in result.output
    assert "good.yaml: a valid training job" in result.stdout


def test_validate_says_what_is_experimental(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    space = "{x: {type: float, low: 0, high: 1}}"
    stopping = "early_stopping: {type: freeze_thaw}"
    path.write_text(
        f"run: x\nwork: {{epochs: 9}}\nsweep: {{metric: m, goal: maximize, space: {space}, trials: 4, {stopping}}}\n"
    )
    result = CliRunner().invoke(main.cli, ["validate", str(path)], standalone_mode=False)
    assert result.return_value == 0
    assert "note: sweep.early_stopping.type: freeze_thaw is experimental" in result.stdout


def test_report_writes_its_files_though_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)  # as `| head` does, only earlier
    command = [sys.executable, "-m", "spotwise.scheduler.cli", "report", "--out", str(tmp_path / "out")]
    try:
        left = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (left.returncode, left.stderr) == (0, "")
    assert {"report.html", "report.txt", "focus.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_schema_is_json() -> None:
    schema = json.loads(CliRunner().invoke(main.cli, ["schema"]).stdout)
    assert "budget" in schema["properties"]


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "absent.yaml"], ["schema"], ["--version"]])
def test_questions_that_need_no_home_make_none(arguments: list[str], home: Path) -> None:
    CliRunner().invoke(main.cli, arguments)
    assert not home.exists()


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import spotwise.scheduler.cli, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(set(loaded) & set(HEAVY)) == []


def test_help_is_quick() -> None:
    """Under half a second of processor time, of which the best of five counts: the machine may be busy."""
    assert min(_cpu_of_help() for _ in range(5)) < 0.5


def _cpu_of_help() -> float:
    child = subprocess.Popen([sys.executable, "-m", "spotwise.scheduler.cli", "--help"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return used.ru_utime + used.ru_stime


def test_validate_takes_variables_as_sky_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("run: x\nenvs: {HF_TOKEN: , MORE: }\n")
    monkeypatch.setenv("HF_TOKEN", "hf")

    def ask(*options: str) -> Result:
        return CliRunner().invoke(main.cli, ["validate", str(path), *options], standalone_mode=False)

    assert ask().return_value == 2
    assert ask("--env", "HF_TOKEN", "--env", "MORE=a=b").return_value == 0
    assert "there is no such variable here; write --env MISSING=VALUE" in str(ask("--env", "MISSING").exception)
    assert "found 'A-B'" in str(ask("--env", "A-B=c").exception)
    assert "there is no such variable here" in str(ask("--secret", "MISSING").exception)


def test_validate_knows_the_teams_of_the_settings(tmp_path: Path) -> None:
    path, settings = tmp_path / "job.yaml", tmp_path / "settings.yaml"
    path.write_text("run: x\nteam: visoin\n")
    settings.write_text("teams: {vision: {monthly_budget: 4}}\n")
    result = CliRunner().invoke(main.cli, ["--settings", str(settings), "validate", str(path)], standalone_mode=False)
    assert result.return_value == 2
    assert (
        "team: found 'visoin', which is no team of the settings; allowed: vision; did you mean vision" in result.output
    )
