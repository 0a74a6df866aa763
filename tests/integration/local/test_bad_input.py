"""What is wrong is said: what, where, what to do; with the right exit code, no traceback, and nothing done."""

from __future__ import annotations

from typing import Any

import pytest
from installation import PYTHON, Installation, pool

from spotwise.scheduler.core.run import AttemptState


@pytest.mark.parametrize("command", ["submit", "plan", "validate", "nightly"])
def test_faulty_job_file_names_all_faults_and_leaves_nothing(here: Installation, command: str) -> None:
    """Every fault at once with its line and the nearest right key; not even the home is made."""
    job = here.folder / "bad.yaml"
    job.write_text("name: bad\nrun: python train.py\nbudjet: 5 USD\ndeadline: soon\nsweep: {trials: many}\n")
    said = here.cli(command, job, code=2).err
    assert "bad.yaml:3: budjet" in said
    assert "budget" in said.replace("budjet", "")
    assert "bad.yaml:4: deadline" in said
    assert "bad.yaml:5: sweep.trials" in said
    assert command == "nightly" or not here.home.exists()


@pytest.mark.parametrize("command", ["status", "logs", "cancel"])
def test_unknown_run(here: Installation, command: str) -> None:
    said = here.cli(command, "nobody-aaaaaa", code=2).err
    assert "no run is called 'nobody-aaaaaa'" in said
    assert "`spotwise status` lists all runs" in said


def test_missing_job_file(here: Installation) -> None:
    assert "absent.yaml: no such file" in here.cli("submit", here.folder / "absent.yaml", code=2).err


def test_command_that_does_not_exist_fails_at_once(here: Installation) -> None:
    """Nobody tries three times to find a program that is not there."""
    said = here.cli("submit", here.job("trian.py --epochs 3"), "--watch", code=4).out
    assert "trying again would not help" in said
    assert "trian.py: command not found" in said
    (run,) = here.runs()
    assert len(here.attempts(run.id)) == 1
    here.assert_settled(run.id)


def test_failing_setup_fails_at_once(here: Installation) -> None:
    here.market(pool("a"))
    job = here.job(setup="echo no wheel for torch; exit 9")
    said = here.cli("submit", job, "--watch", code=4).out
    assert "setup failed with exit code 9; trying again would not help" in said
    assert "no wheel for torch" in said
    (run,) = here.runs()
    assert [a.state for a in here.attempts(run.id)] == [AttemptState.FAILED]
    here.assert_settled(run.id)


def test_workdir_that_does_not_exist(here: Installation) -> None:
    said = here.cli("submit", here.job(workdir=str(here.folder / "nowhere")), code=2).err
    assert "workdir: found" in said
    assert "allowed: a folder that exists" in said


@pytest.mark.parametrize("command", ["status", "report", "supervise"])
def test_unreadable_store(here: Installation, command: str) -> None:
    """A file that is no database is named; it is left as it is."""
    here.home.mkdir()
    store = here.home / "spotwise.db"
    store.write_bytes(b"these are not the pages you are looking for" * 100)
    before = store.read_bytes()
    said = here.cli(command, code=70).err
    assert str(store) in said
    assert "not a database" in said
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tik": "1s"}, "tik"),
        ({"tick": "-1s", "crash_limit": "many"}, "crash_limit"),
        ({"local": {"market": "absent.yaml"}}, "absent.yaml does not"),
    ],
)
def test_faulty_settings(here: Installation, keys: dict[str, Any], said: str) -> None:
    path = here.settings(**keys)
    err = here.cli("status", code=2).err
    assert said in err
    assert str(path) in err


def test_faulty_market_file(here: Installation) -> None:
    """Faults of the market are found before anything is submitted."""
    here.market(pool("a", spot=-1))
    said = here.cli("submit", here.job(), code=2).err
    assert "spot_usd_per_hour" in said
    assert here.runs() == []


def test_home_that_cannot_be_written(here: Installation) -> None:
    """A file stands where the home should be."""
    here.home.write_text("")
    for command in (["status"], ["submit", str(here.job())]):
        assert f"{here.home}" in here.cli(*command, code=2).err


def test_modules_of_the_user_do_not_shadow_ours(here: Installation) -> None:
    """Whatever the files beside a job are called, neither the supervisor nor the node imports them."""
    for folder in (here.folder, here.work):
        for name in ("scheduler.py", "checkpoints.py", "click.py", "select.py"):
            (folder / name).write_text("raise SystemExit('shadowed')\n")
    run_id = here.submit(here.job(f"{PYTHON} -P train.py --epochs 1"))
    here.wait_for_end(run_id)
