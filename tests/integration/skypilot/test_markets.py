"""Where runs go when markets have no capacity, and what later runs know of that."""

from __future__ import annotations

from sky_installation import SkyInstallation

from spotwise.scheduler.core.run import RunState


def close_spot(site: SkyInstallation) -> None:
    for cluster in ("aws", "gcp"):
        site.world.close(cluster, "spot")


def test_without_spot_capacity_and_slack_a_run_goes_on_demand_and_the_next_one_would_at_once(
    site: SkyInstallation,
) -> None:
    """A refusal costs nothing, is made once, and is remembered for the next run's plan.

    A quarter of an hour is kept in hand, so that 21 minutes leave some four for asking and waiting, less than until a
    pool is asked again. On a busy machine a refusal may take longer: then the start is given up, which is said as such.
    """
    close_spot(site)
    job = site.sky_job(site.sky_train(epochs=2), deadline="21m")
    run_id = site.submit(job)
    site.wait_for_end(run_id)
    *asked, last = site.places(run_id)
    assert (last, site.outcomes(run_id)) == ("gcp/ondemand", ["refused"] * len(asked) + ["completed"])
    assert asked in (["gcp/spot"], ["gcp/spot", "aws/spot"])
    assert {charge.offer.pool.zone for charge in site.charges(run_id)} == {"ondemand"}
    causes = [attempt["end_cause"] for attempt in site.json("status", run_id)["attempts"]]
    had_none = causes.count("no_capacity")
    assert had_none == len(asked) or causes[len(asked) - 1] == "withdrawn"
    assert site.cli("plan", job).out.count("no capacity") == had_none
    assert had_none < 2 or site.json("plan", job)["chosen"].endswith("/on_demand")
    site.assert_clean(run_id)


def test_a_run_that_wants_spot_only_waits_until_a_market_opens_and_another_is_cancelled_meanwhile(
    site: SkyInstallation,
) -> None:
    close_spot(site)
    site.sky_settings(clusters=("gcp",), cooldown="90s")  # from when it was asked for: a refusal takes half a minute
    jobs = [site.sky_job(site.sky_train(epochs=2), policy="spot_only", name=name) for name in ("one", "another")]
    run_id, another = map(site.submit, jobs)
    for each in (run_id, another):
        site.wait(
            lambda each=each: site.run(each).state is RunState.WAITING and site.notes(each, "waiting"), "it to wait"
        )
        assert set(site.outcomes(each)) <= {"refused"}
        assert not site.charges(each)
    site.cli("cancel", another)
    site.wait_for_end(another, RunState.CANCELLED)
    assert not site.charges(another)
    site.world.open("gcp", "spot")
    site.wait_for_end(run_id)
    *earlier, last = site.outcomes(run_id)
    assert (set(earlier), last) == ({"refused"}, "completed")
    assert set(site.places(run_id)) == {"gcp/spot"}
    site.assert_clean(run_id)
