"""Training jobs through a real SkyPilot on real (if small) clusters, through real preemptions."""

from __future__ import annotations

import pytest
from sky_installation import PRICES, SkyInstallation

from spotwise.scheduler.core.run import RunState

TWENTY_EPOCHS = {"epochs": 20, "hours": 0.02, "reference": "V100"}


@pytest.mark.core
def test_preempted_it_continues_on_another_cloud_and_is_paid_until_its_cluster_is_gone(site: SkyInstallation) -> None:
    greeting = {"envs": {"GREETING": "hello"}, "setup": 'echo "$GREETING from setup"'}
    run_id = site.submit(site.sky_job(site.sky_train(epochs=20), work=TWENTY_EPOCHS, **greeting))
    site.wait_for_epoch(run_id, 3)
    site.world.reclaim(*site.node_of(run_id))
    site.wait_for_end(run_id)
    assert site.places(run_id) == ["gcp/spot", "aws/spot"], "never blindly into the pool that just preempted"
    assert site.outcomes(run_id) == ["preempted", "completed"]
    epochs = [record.epoch for record in site.progress(run_id) if record.event == "progress"]
    assert epochs == list(range(1, 21)), "no epoch twice, none left out"
    first, second = site.attempts(run_id)
    assert "took the capacity back" in first.end_reason
    log = site.cli("logs", run_id).out
    assert log.count("hello from setup") == 2, "on each machine"
    assert "trained to the end" in log
    for attempt in (first, second):
        assert attempt.started_at is not None
        assert attempt.ended_at is not None
        assert attempt.launched_at < attempt.started_at < attempt.ended_at
    booked = sum(float(charge.amount_usd) for charge in site.charges(run_id) if charge.attempt_id == second.id)
    off_s = (booked - site.sky_cost_usd(second)) * 3600 / PRICES["aws"]["spot"]
    assert abs(off_s) < 5, f"we bill {off_s:.1f} s more than SkyPilot's own report"
    site.assert_clean(run_id)
    print(site.took(run_id))


def test_a_machine_that_vanishes_without_a_word_is_replaced(site: SkyInstallation) -> None:
    run_id = site.submit(site.sky_job(site.sky_train(epochs=20), work=TWENTY_EPOCHS))
    site.wait_for_epoch(run_id, 3)
    site.world.kill_hard(site.node_of(run_id)[1])
    site.wait_for_end(run_id)
    assert site.outcomes(run_id) == ["preempted", "completed"]
    epochs = {record.epoch for record in site.progress(run_id) if record.event == "progress"}
    assert epochs == set(range(1, 21)), "one may have been done twice, none is left out"
    site.assert_clean(run_id)


def test_a_failing_setup_is_not_tried_again_and_its_last_lines_are_shown(site: SkyInstallation) -> None:
    run_id = site.submit(site.sky_job(setup="echo no such package >&2; exit 4"))
    end = site.wait_for_end(run_id, RunState.FAILED)
    assert site.outcomes(run_id) == ["failed"]
    assert "setup failed with exit code 4" in end.end_reason
    assert "no such package" in end.end_reason
    site.assert_clean(run_id)
