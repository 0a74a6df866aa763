"""Runs that are cancelled, whatever they are at: once one is called cancelled, nothing of it is billed any more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sky_installation import SkyInstallation

from spotwise.scheduler.core.run import Run, RunState


def cancelled(site: SkyInstallation, run_id: str) -> Run:
    """Cancel it, twice, and see that no machine is left at the moment at which the run is over."""
    assert "is being cancelled" in site.cli("cancel", run_id).out
    site.cli("cancel", run_id)
    end = site.wait_for_end(run_id, RunState.CANCELLED)
    assert site.jobs_left() == [], "called cancelled only when its machines are gone"
    assert site.world.sky_clusters() == []
    assert "has ended already: cancelled" in site.cli("cancel", run_id).out
    return end


def spent(site: SkyInstallation, run_id: str) -> Decimal:
    return sum((charge.amount_usd for charge in site.charges(run_id)), Decimal(0))


def test_a_launch_that_finds_no_machine_yet_is_called_off_and_costs_nothing(site: SkyInstallation) -> None:
    site.world.close("gcp", "spot")
    run_id = site.submit(site.sky_job())
    site.wait(lambda: [e for a in site.attempts(run_id) for e in site.engine_notes(a)], "the launch to be asked for")
    cancelled(site, run_id)
    assert site.places(run_id) == ["gcp/spot"]
    assert spent(site, run_id) == 0
    site.assert_clean(run_id)


@pytest.mark.core
def test_a_machine_that_is_being_set_up_is_given_back(site: SkyInstallation) -> None:
    run_id = site.submit(site.sky_job())
    site.wait(lambda: [job for job in site.world.jobs("gcp") if job.state == "RUNNING"], "the machine")
    assert site.attempts(run_id)[0].started_at is None
    cancelled(site, run_id)
    assert site.progress(run_id) == []
    site.assert_clean(run_id)


def test_work_that_is_done_stays_done_though_it_is_cancelled_as_its_machine_goes(site: SkyInstallation) -> None:
    run_id = site.submit(site.sky_job(site.sky_train(epochs=2)))
    site.wait(
        lambda: [e for a in site.attempts(run_id) for e in site.engine_notes(a) if e.name == "down"], "the end to begin"
    )
    site.cli("cancel", run_id)
    site.wait_for_end(run_id, RunState.COMPLETED)
    assert site.jobs_left() == []
    site.assert_clean(run_id)


@pytest.mark.alone
def test_a_cluster_whose_installation_is_lost_is_found_and_ended_when_it_is_named(site: SkyInstallation) -> None:
    work = {"epochs": 400, "hours": 0.2, "reference": "V100"}
    run_id = site.submit(site.sky_job(site.sky_train(epochs=400), work=work))
    site.wait_for_epoch(run_id, 1)
    assert {check["verdict"] for check in site.json("doctor")["checks"]} == {"ok"}
    cluster = f"spotwise-{site.attempts(run_id)[0].id}"
    assert f"in use by {run_id}-a1" in site.cli("gc", cluster, "--yes", code=2).err
    site.kill_supervisors()
    site.home.rename(site.folder / "lost")

    found = site.json("gc", "--yes")
    assert [(each["cluster"], each["standing"]) for each in found["clusters"]] == [
        (cluster, "not of this installation")
    ]
    assert found["ended"] == []
    assert site.world.job_of(cluster), "it may be a colleague's"
    assert site.json("gc", cluster, "--yes")["ended"] == [cluster]
    assert site.jobs_left() == []
    assert site.world.sky_clusters() == []
