"""What a submission may and may not do: twice the same, too little money, too little time, cancelled, secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from installation import Installation, ended, outage, pool

from spotwise.scheduler.core.run import AttemptState, RunState

SECRET = "hf_4711-very-secret"  # noqa: S105 - the test looks for it


def test_same_file_submitted_twice_is_one_run(here: Installation) -> None:
    """Also when both are submitted at the same moment; --again makes another."""
    job = here.job(here.train("--epochs 500"))
    said = [ended(each) for each in [here.start("submit", job) for _ in range(3)]]
    (run,) = here.runs()
    assert all(run.id in each.out for each in said)
    assert sum(each.out.startswith(f"submitted {run.id}") for each in said) == 1
    assert sum(f"{run.id} of this job file is active already" in each.out for each in said) == 2
    other = here.submit(job, "--again")
    assert {each.id for each in here.runs()} == {run.id, other}
    assert [folder.name for folder in sorted((here.home / "runs").iterdir())] == sorted([run.id, other])


def test_ended_job_can_be_submitted_anew(here: Installation) -> None:
    """What counts as the same is a job that is still active."""
    first = here.submit(here.job("true"))
    here.wait_for_end(first)
    assert here.submit(here.job("true")) != first


def test_budget_that_runs_out_stops_at_a_checkpoint(here: Installation) -> None:
    """Exit code 3, never a cent above the budget, and nothing of the work is lost."""
    here.market(pool("a", spot=0.5))
    job = here.job(here.train("--epochs 500"), budget="1.50 USD", policy="spot_only")
    said = here.cli("submit", job, "--watch", code=3)
    (run,) = here.runs()
    assert run.state is RunState.STOPPED
    assert "the budget of 1.50 USD is spent" in run.end_reason
    assert run.end_reason in said.out
    assert Decimal("0.5") < here.spent(run.id) <= Decimal("1.50")
    last, before = here.progress(run.id)[-1], here.progress(run.id)[-2]
    assert (before.event, last.event) == ("checkpoint", "stopping")
    here.assert_settled(run.id)


@pytest.mark.parametrize(
    ("terms", "nearest"),
    [({"budget": "0.05 USD"}, "USD suffices with 90 %"), ({"deadline": "2h"}, "would be met with 90 %")],
)
def test_impossible_terms_are_refused_with_the_nearest_possible(
    here: Installation, terms: dict[str, str], nearest: str
) -> None:
    """Exit code 3 from plan and submit, and nothing is stored or started."""
    here.market(pool("a"))
    job = here.job(work={"epochs": 6, "hours": 10}, **terms)
    assert nearest in here.cli("submit", job, code=3).err
    assert nearest in " ".join(here.cli("plan", job, code=3).out.split())
    assert here.runs() == []
    assert not (here.home / "runs").exists()
    assert here.supervisors() == []


def test_team_budget_counts_what_active_runs_have_reserved(here: Installation) -> None:
    """A second job that fits the month's budget alone does not fit beside the first."""
    here.market(pool("a"))
    here.settings(local={"market": "market.yaml"}, teams={"vision": {"monthly_budget": "5 USD"}})
    keys = {"team": "vision", "work": {"epochs": 500, "hours": 8}}
    first = here.submit(here.job(here.train("--epochs 500"), **keys))
    said = here.cli("submit", here.job(name="other", **keys), code=3)
    assert "left this month" in said.err
    assert [run.id for run in here.runs()] == [first]


# cancel


def waiting(here: Installation) -> tuple[str, Callable[[str], object]]:
    here.market(pool("a", outage=outage(0.0001, 1e6)))
    run_id = here.submit(here.job(policy="spot_only"))
    return run_id, lambda run_id: here.notes(run_id, "waiting")


def provisioning(here: Installation) -> tuple[str, Callable[[str], object]]:
    here.market(pool("a"), provision_hours=1000)
    return here.submit(here.job()), lambda run_id: here.machine_says(run_id, "asked")


def running(here: Installation) -> tuple[str, Callable[[str], object]]:
    here.market(pool("a"))
    run_id = here.submit(here.job(here.train("--epochs 500")))
    return run_id, lambda run_id: any(r.event == "checkpoint" for r in here.progress(run_id))


@pytest.mark.parametrize("state", [waiting, provisioning, running])
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "orphaned"])
def test_cancel_ends_a_run(
    here: Installation,
    state: Callable[[Installation], tuple[str, Callable[[str], object]]],
    supervised: bool,
) -> None:
    """In every state, with or without a live supervisor: it leaves, saves what it has, and is billed no longer."""
    run_id, reached = state(here)
    here.wait(lambda: reached(run_id), state.__name__)
    if not supervised:
        assert here.kill_supervisors() == 1
    here.cli("cancel", run_id)
    here.wait_for_end(run_id, RunState.CANCELLED)
    if state is running:
        assert here.progress(run_id)[-1].event == "stopping"
        assert here.attempts(run_id)[0].state is AttemptState.CANCELLED
    else:
        assert here.charges(run_id) == []
    here.assert_settled(run_id)


def test_cancel_of_an_ended_run_changes_nothing(here: Installation) -> None:
    run_id = here.submit(here.job("true"))
    before = here.wait_for_end(run_id)
    assert f"{run_id} has ended already: completed" in here.cli("cancel", run_id).out
    assert here.run(run_id) == before


# secrets


def test_secret_reaches_the_program_and_nothing_else(here: Installation) -> None:
    """It is in no file of the home while the run lives but its own, and in none at all after the end."""
    job = here.job(
        f'test "$TOKEN" = {SECRET[:4]}"4711-very-secret" && test "$LIKEWISE" = {SECRET[:4]}"4711-very-secret"\n'
        f"{here.train('--epochs 5')}",
        secrets={"TOKEN": None, "LIKEWISE": SECRET},
    )
    here.env["TOKEN"] = SECRET
    run_id = here.submit(job)
    here.wait_for_epoch(run_id, 1)
    assert [path.name for path in files_with_secret(here)] == ["secrets.json"]
    own = here.home / "runs" / run_id / "secrets.json"
    assert own.stat().st_mode & 0o077 == 0
    here.wait_for_end(run_id)
    here.cli("report", "--out", here.home / "reports")
    assert files_with_secret(here) == []
    assert SECRET not in json.dumps(here.json("status", run_id))
    here.assert_settled(run_id)


def test_secret_without_a_value_is_asked_for(here: Installation) -> None:
    said = here.cli("submit", here.job(secrets={"NO_SUCH_TOKEN": None}), code=2)
    assert "NO_SUCH_TOKEN" in said.err
    assert here.runs() == []


def files_with_secret(here: Installation) -> list[Path]:
    files = [path for path in here.home.rglob("*") if path.is_file()]
    return [path for path in files if SECRET.encode() in path.read_bytes()]
