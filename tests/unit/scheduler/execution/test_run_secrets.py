"""Secrets lie beside their run until it ends: also where the process that should remove them is killed."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from factories import T0, run

from spotwise.scheduler.core.run import Run, RunState
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.execution.run_secrets import (
    forget_secrets,
    read_secrets,
    remove_left_over,
    secrets_of_submission,
)
from spotwise.scheduler.store import Store

VALUES = {"TOKEN": "s3cret"}


class Home:
    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.url = f"sqlite:///{folder / 'spotwise.db'}"
        self.store = Store.open(self.url)

    def run(self, name: str = "digits-aaaaaa") -> Run:
        folder = self.path / "runs" / name
        folder.mkdir(parents=True)
        return run(name, folder=str(folder))

    def add(self, one: Run) -> None:
        self.store.add_run(one, one.id)

    def killed_before_the_run_is_in_the_store(self, one: Run) -> None:
        """A process that dies removes nothing; its lock is gone with it."""
        with contextlib.ExitStack() as never_left:
            never_left.enter_context(secrets_of_submission(one, VALUES, self.url))
            kept = [(path, path.read_bytes()) for path in Path(one.folder).iterdir()]
        for path in Path(one.folder).iterdir():
            path.unlink()
        for path, content in kept:
            path.write_bytes(content)

    def clean(self) -> list[Path]:
        return remove_left_over(self.store, self.url, self.path)

    def secrets_on_disk(self) -> bool:
        return any(b"s3cret" in path.read_bytes() for path in self.path.rglob("*") if path.is_file())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_run_has_its_secrets_until_it_ends(home: Home) -> None:
    one = home.run()
    with secrets_of_submission(one, VALUES, home.url):
        home.add(one)
    assert home.clean() == []
    assert read_secrets(one) == VALUES
    assert [path.stat().st_mode & 0o077 for path in Path(one.folder).iterdir()] == [0]
    forget_secrets(one)
    assert read_secrets(one) == {}
    assert not home.secrets_on_disk()


def test_a_submission_that_is_refused_leaves_no_secrets(home: Home) -> None:
    with pytest.raises(RuntimeError), secrets_of_submission(home.run(), VALUES, home.url):
        raise RuntimeError("refused")
    assert not home.secrets_on_disk()


def test_secrets_of_a_submission_that_was_killed_are_removed(home: Home) -> None:
    home.killed_before_the_run_is_in_the_store(home.run())
    assert home.secrets_on_disk()
    assert len(home.clean()) == 1
    assert not home.secrets_on_disk()


def test_a_draft_of_secrets_is_removed_too(home: Home) -> None:
    one = home.run()
    home.killed_before_the_run_is_in_the_store(one)
    (pending,) = Path(one.folder).iterdir()
    pending.rename(pending.with_name(f".{pending.name}.0123abcd.tmp"))
    assert len(home.clean()) == 1
    assert not home.secrets_on_disk()


def test_a_run_whose_submission_was_killed_at_its_last_step_has_its_secrets(home: Home) -> None:
    one = home.run()
    home.killed_before_the_run_is_in_the_store(one)
    home.add(one)
    assert home.clean() == []
    assert read_secrets(one) == VALUES


def test_secrets_of_a_submission_under_way_stay(home: Home) -> None:
    one = home.run()
    with secrets_of_submission(one, VALUES, home.url):
        assert home.clean() == []
        home.add(one)
    assert read_secrets(one) == VALUES


def test_secrets_of_a_run_that_ended_while_its_supervisor_was_killed_are_removed(home: Home) -> None:
    one = home.run()
    with secrets_of_submission(one, VALUES, home.url):
        home.add(replace(one, state=RunState.COMPLETED, ended_at=T0))
    assert len(home.clean()) == 1
    assert not home.secrets_on_disk()


def test_secrets_of_runs_in_another_store_are_left_alone(home: Home) -> None:
    """One home may serve two settings files with a store each."""
    other, pending = home.run("other-aaaaaa"), home.run("pending-aaaaaa")
    with secrets_of_submission(other, VALUES, "sqlite:///elsewhere.db"):
        pass
    home.killed_before_the_run_is_in_the_store(pending)
    assert [path.parent.name for path in home.clean()] == [pending.id]
    assert read_secrets(other) == VALUES


def test_a_home_that_was_open_to_others_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "home"
    mine.mkdir()
    mine.chmod(0o755)
    monkeypatch.setenv("SPOTWISE_HOME", str(mine))
    monkeypatch.chdir(tmp_path)
    App.open()
    assert mine.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_somebody_else_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "home"
    theirs.mkdir()
    theirs.chmod(0o770)
    os.chown(theirs, 12345, 0)
    monkeypatch.setenv("SPOTWISE_HOME", str(theirs))
    monkeypatch.chdir(tmp_path)
    App.open()
    assert theirs.stat().st_mode & 0o777 == 0o770
