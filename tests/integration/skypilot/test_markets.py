"""Where runs go when markets have no capacity, and what later runs know of that."""

from __future__ import annotations

from sky_installation import SkyInstallation


def close_spot(site: SkyInstallation) -> None:
    for cluster in ("aws", "gcp"):
        site.world.close(cluster, "spot")


def test_without_spot_capacity_and_slack_a_run_goes_on_demand_and_the_next_one_does_at_once(
    site: SkyInstallation,
) -> None:
    """A refusal costs nothing, is made once, and is remembered for the next run's plan.

    A quarter of an hour is kept in hand, so that 20 minutes leave some three for asking and waiting.
    """
    close_spot(site)
    job = site.sky_job(site.sky_train(epochs=2), deadline="20m")
    first = site.submit(job)
    site.wait_for_end(first)
    assert site.places(first) == ["gcp/spot", "aws/spot", "gcp/ondemand"]
    assert site.outcomes(first) == ["refused", "refused", "completed"]
    assert {charge.offer.pool.zone for charge in site.charges(first)} == {"ondemand"}
    assert site.cli("plan", job).out.count("no capacity") == 2
    second = site.submit(job)
    site.wait_for_end(second)
    assert site.places(second) == ["gcp/ondemand"]
    for run_id in (first, second):
        site.assert_clean(run_id)


def test_a_run_that_wants_spot_only_waits_until_a_market_opens(site: SkyInstallation) -> None:
    close_spot(site)
    site.sky_settings(clusters=("gcp",), cooldown="45s")  # counted from when it was asked for: a refusal takes 25 s
    run_id = site.submit(site.sky_job(site.sky_train(epochs=2), policy="spot_only"))
    site.wait(lambda: site.notes(run_id, "waiting"), "it to wait")
    assert set(site.outcomes(run_id)) == {"refused"}
    assert not site.charges(run_id)
    site.world.open("gcp", "spot")
    site.wait_for_end(run_id)
    *earlier, last = site.outcomes(run_id)
    assert (set(earlier), last) == ({"refused"}, "completed")
    assert set(site.places(run_id)) == {"gcp/spot"}
    site.assert_clean(run_id)
