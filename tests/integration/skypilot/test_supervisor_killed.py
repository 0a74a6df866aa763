"""kill -9 of the supervisor at any moment, then `spotwise supervise`: the end is that of an undisturbed run."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sky_installation import SkyInstallation

from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.core.run import Attempt


def notes(site: SkyInstallation, run_id: str, name: str) -> bool:
    """Whether the engine has written this down of the newest attempt."""
    attempts = site.attempts(run_id)
    return bool(attempts) and any(event.name == name for event in site.engine_notes(attempts[-1]))


def wait_and_kill(site: SkyInstallation, happened: Callable[[], bool], what: str) -> None:
    site.wait(happened, what)
    assert site.kill_supervisors() == 1
    assert site.run(site.runs()[0].id).state.is_final is False


def gone_at(site: SkyInstallation) -> datetime:
    site.wait(lambda: site.world.sky_clusters() == [], "the end of the cluster")
    return SystemClock().now()


@pytest.mark.core
def test_killed_while_provisioning_running_and_tearing_down(site: SkyInstallation) -> None:
    """One attempt on one cluster, no epoch twice, and paid until its machine was gone: not until somebody looked."""
    run_id = site.submit(site.sky_job(site.sky_train(epochs=12)))
    wait_and_kill(site, lambda: notes(site, run_id, "launching"), "the launch")
    site.start("supervise")
    wait_and_kill(site, lambda: any(r.epoch >= 2 for r in site.progress(run_id)), "training")
    site.start("supervise")
    wait_and_kill(site, lambda: notes(site, run_id, "down"), "the end of its cluster to be asked for")
    gone = gone_at(site)
    time.sleep(4)  # in which nobody looks
    last = site.start("supervise")
    site.wait_for_end(run_id)
    last.communicate()
    assert site.outcomes(run_id) == ["completed"]
    (attempt,) = site.attempts(run_id)
    assert launches(site, attempt) == 1
    assert attempt.ended_at is not None
    assert attempt.ended_at < gone + timedelta(seconds=2)
    epochs = [record.epoch for record in site.progress(run_id) if record.event == "progress"]
    assert epochs == list(range(1, 13))
    site.assert_clean(run_id)


def test_killed_between_a_launch_and_its_entry_in_the_journal(site: SkyInstallation) -> None:
    """The next supervisor finds the launch that SkyPilot has accepted, and makes no second one."""
    run_id = site.submit(site.sky_job(site.sky_train(epochs=2)))
    journal = Path(site.run(run_id).storage) / "attempts" / f"{run_id}-a1" / "engine.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.symlink_to("/nowhere/engine.jsonl")  # nothing can be written down
    wait_and_kill(site, lambda: f"spotwise-{run_id}-a1" in site.world.sky_clusters(), "the launch")
    journal.unlink()
    last = site.start("supervise")
    site.wait_for_end(run_id)
    last.communicate()
    assert site.outcomes(run_id) == ["completed"]
    assert launches(site, site.attempts(run_id)[0]) == 1
    site.assert_clean(run_id)


def launches(site: SkyInstallation, attempt: Attempt) -> int:
    """How often SkyPilot was asked to launch its cluster."""
    return site.world.launches().count(f"spotwise-{attempt.id}")
