"""SkyPilot's server dies, login nodes cannot be reached, provisioning never ends: no run is lost, nothing is left."""

from __future__ import annotations

import os
import signal
import time

import pytest
from sky_installation import SkyInstallation, cloud_of

from spotwise.scheduler.core.run import RunState

AGENT = "/bin/python -I -m spotwise.scheduler.node_agent"


@pytest.mark.core
@pytest.mark.alone
def test_the_api_server_dies_during_a_launch_and_during_training(site: SkyInstallation) -> None:
    """It forgets what it was asked to do. The launch is finished on the same machine, the training goes on."""
    run_id = site.submit(site.sky_job(site.sky_train(epochs=16)))
    site.wait(lambda: any(site.slurm_jobs(attempt) for attempt in site.attempts(run_id)), "a machine")
    site.world.restart_api_server()
    site.wait_for_epoch(run_id, 2)
    site.world.kill_api_server()
    site.wait(lambda: site.machine_says(run_id, "ended"), "the end of the program, seen without SkyPilot")
    assert not site.run(run_id).state.is_final, "its cluster is still there"
    site.world.restart_api_server()
    site.wait_for_end(run_id)
    assert site.outcomes(run_id) == ["completed"]
    epochs = [record.epoch for record in site.progress(run_id) if record.event == "progress"]
    assert epochs == list(range(1, 17))
    site.assert_clean(run_id)


def test_a_login_node_out_of_reach_is_no_loss_and_a_launch_goes_elsewhere(site: SkyInstallation) -> None:
    """Half a minute without SSH, in which even the agent says nothing: the machine is there, and only out of touch."""
    here = site.submit(site.sky_job(site.sky_train(epochs=1000), name="here"))
    site.wait_for_epoch(here, 1)
    cluster, node = site.node_of(here)
    agent = next(pid for pid, line in site.world.processes(node).items() if line.endswith(AGENT))
    site.world.ssh_down(cluster)
    os.kill(agent, signal.SIGSTOP)
    elsewhere = site.submit(site.sky_job(site.sky_train(epochs=2), name="elsewhere"))
    site.wait(lambda: site.notes(here, "fault"), "the silence to be noticed")
    time.sleep(15)
    os.kill(agent, signal.SIGCONT)
    site.world.ssh_up(cluster)
    site.wait_for_end(elsewhere)
    assert site.places(elsewhere) == ["gcp/spot", "aws/spot"]
    assert site.outcomes(elsewhere) == ["refused", "completed"]
    assert site.outcomes(here) == ["running"]
    site.cli("cancel", here)
    site.wait_for_end(here, RunState.CANCELLED)
    assert site.jobs_left() == [], "called cancelled only when its machines are gone"
    assert site.outcomes(here) == ["cancelled"], "the same attempt all the time"
    last, attempt = site.progress(here)[-1], site.attempts(here)[0]
    assert last.event == "stopping", "its program saves and leaves first"
    assert last.epoch >= 1
    assert attempt.exit_code == 75
    assert site.spent(here) > 0
    for run_id in (here, elsewhere):
        site.assert_clean(run_id)


def test_a_launch_that_never_comes_up_is_given_up_and_another_offer_is_taken(site: SkyInstallation) -> None:
    site.sky_settings(skypilot={"provision_timeout": "9s"})  # SkyPilot itself would wait for longer
    site.world.close("gcp", "spot")
    run_id = site.submit(site.sky_job())
    site.wait(lambda: len(site.attempts(run_id)) == 2, "another attempt")
    assert site.outcomes(run_id)[0] == "refused"
    assert "did not come up within" in site.notes(run_id, "refused")[0]
    assert site.places(run_id) == ["gcp/spot", "aws/spot"]
    assert not [job for job in site.slurm_jobs(site.attempts(run_id)[0]) if job.alive]
    site.cli("cancel", run_id)
    site.wait_for_end(run_id, RunState.CANCELLED)
    assert not site.charges(run_id) or cloud_of(site.charges(run_id)[0].offer) == "aws"
    site.assert_clean(run_id)
