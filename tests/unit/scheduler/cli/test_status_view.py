"""Runs on terminals of any width, and what is said of them while they live."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import JOB_YAML, T0, at, attempt, offer, run
from rich.console import Console, RenderableType

from spotwise.cost_models.estimate import Quantiles
from spotwise.cost_models.offer import Market, Pool
from spotwise.scheduler.cli.runs_view import ListedRun, status_table
from spotwise.scheduler.cli.status_json import status_json
from spotwise.scheduler.cli.status_view import RunView, RunWatcher, run_detail
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.kept_work import KeptWork
from spotwise.scheduler.core.progress import Progress
from spotwise.scheduler.core.remaining import ChanceOf, Remaining
from spotwise.scheduler.core.run import Attempt, AttemptState, RunState
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.store import RunEvent, Store
from spotwise.scheduler.tuning.savings.expected import Saving

RUN_ID = "shelf-detector-nightly-377k2f"
SPOT = offer(pool=Pool("slurm", "gcp", "spot", "V100:1"), price="0.4")
ON_DEMAND = offer(
    pool=Pool("azure", "southcentralus", "southcentralus-1", "Standard_NC4as_T4_v3"),
    market=Market.ON_DEMAND,
    price="31.212",
)
TAKEN = "slurm/gcp/spot/V100:1/spot took the capacity back; the program left after saving a checkpoint"
ATTEMPTS = (
    attempt(1, offer=SPOT, state=AttemptState.PREEMPTED, started_at=T0, ended_at=at(2), end_reason=TAKEN),
    attempt(2, offer=ON_DEMAND, launched_at=at(3), started_at=at(3.1)),
)


def view(**changes: Any) -> RunView:
    values: dict[str, Any] = {
        "run": run(RUN_ID, state=RunState.RUNNING, budget_usd=Decimal(400)),
        "job": parse_job(JOB_YAML, source="job"),
        "attempts": ATTEMPTS,
        "events": (),
        "progress": Progress(0.3, KeptWork(3), "epoch 3 of 10, 3 kept  val_accuracy 0.9321"),
        "study": None,
        "spent_usd": Decimal("163.224"),
        "now": at(8),
    }
    return RunView(**{**values, **changes})


def shown(what: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(len(line) for line in text.splitlines()) <= width
    return text


@pytest.mark.parametrize("width", [80, 100, 150])
def test_ids_states_and_money_of_all_runs_are_there_in_full(width: int) -> None:
    ended = view(run=run("digits-aaaaaa", state=RunState.COMPLETED), spent_usd=Decimal("2.50"))
    text = shown(status_table([ListedRun.of(view()), ListedRun.of(ended)]), width)
    assert {RUN_ID, "running", "163.22", "41%", "digits-aaaaaa", "completed", "2.50"} <= set(text.split())
    assert {"3", "kept", "val_accuracy", "0.9321"} <= set(text.split())
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 100, 150])
def test_place_market_state_hours_and_money_of_attempts_are_there_in_full(width: int) -> None:
    text = shown(run_detail(view()), width)
    wanted = {str(SPOT.pool), "spot", "preempted", "2.00", "0.800", str(ON_DEMAND.pool), "on-demand", "running"}
    assert wanted | {"5.00", "156.060"} <= set(text.split())


def test_the_whole_reason_is_there_on_a_narrow_terminal() -> None:
    assert set(TAKEN.split()) <= set(shown(run_detail(view()), 80).split())


@pytest.mark.parametrize("width", [80, 100, 150])
def test_numbers_and_states_of_trials_are_there_in_full(width: int) -> None:
    trial = TrialRecord(
        number=12,
        params={"lr": 0.0138, "width": 63, "dropout": 0.0654, "optimizer": "adam"},
        state=TrialState.COMPLETED,
        value=0.9667,
        epoch=10,
        restored_epochs=(3, 7),
        cost_usd=Decimal("1.234"),
    )
    study = StudyRecord(RUN_ID, "shelf", "val_accuracy", "maximize", {}, T0, trials=(trial,))
    words = set(shown(run_detail(view(study=study)), width).split())
    wanted = {"12", "10", "0.9667", "3,", "7", "1.234", "completed"}
    assert wanted <= words
    assert "optimizer=adam" in words or width == 100  # one line a trial there, as far as it goes


def test_a_run_and_an_attempt_have_one_line_each_where_there_is_room() -> None:
    (line,) = [line for line in shown(status_table([ListedRun.of(view())]), 150).splitlines() if RUN_ID in line]
    assert {"vision", "training", "running", "163.22", "41%"} < set(line.split())
    assert "epoch 3 of 10" in line
    (line,) = [line for line in shown(run_detail(view()), 150).splitlines() if "preempted" in line]
    assert {str(SPOT.pool), "spot", "2.00", "0.800"} < set(line.split())


PLACED = RunEvent(RUN_ID, at(3), EventKind.PLACED, "the cheapest", ATTEMPTS[1].id)
LAUNCHING = ATTEMPTS[1].evolve(state=AttemptState.LAUNCHING, launched_at=PLACED.at - timedelta(milliseconds=2))
UP = LAUNCHING.evolve(launched_at=at(3.1))  # as the engine saw it


@pytest.mark.parametrize(
    ("changes", "attempts", "state"),
    [
        ({}, ATTEMPTS, "running"),
        ({}, (ATTEMPTS[0], LAUNCHING), "launching"),
        ({}, (ATTEMPTS[1], LAUNCHING.evolve(host=1)), "running"),  # one of a sweep's hosts
        ({"state": RunState.WAITING}, ATTEMPTS[:1], "waiting"),
        ({"cancel_requested": True}, ATTEMPTS, "cancelling"),
        ({"cancel_requested": True, "state": RunState.WAITING}, (), "cancelling"),
        ({"cancel_requested": True, "state": RunState.CANCELLED}, ATTEMPTS[:1], "cancelled"),
    ],
)
def test_a_run_shows_what_it_is_about_to_be(changes: dict[str, Any], attempts: tuple[Attempt, ...], state: str) -> None:
    found = view(run=run(RUN_ID, **{"state": RunState.RUNNING, **changes}), attempts=attempts)
    assert f"{RUN_ID}  {state}  " in shown(run_detail(found), 150)
    (line,) = [line for line in shown(status_table([ListedRun.of(found)]), 150).splitlines() if RUN_ID in line]
    assert state in line.split()


def test_json_keeps_the_state_and_says_that_a_cancel_was_asked_for() -> None:
    document = status_json(view(run=run(RUN_ID, state=RunState.RUNNING, cancel_requested=True)))
    assert (document["state"], document["cancel_requested"]) == ("running", True)


@pytest.mark.parametrize(
    ("last", "cells", "spent"),
    [
        (LAUNCHING, ["launching", "-", "-"], "0"),
        (UP, ["launching", "4.90", "152.939"], "152.9388"),  # its set-up is billed
        (UP.evolve(state=AttemptState.RUNNING), ["running", "4.90", "152.939"], "152.9388"),
    ],
)
def test_an_attempt_costs_nothing_until_its_machine_is_known_to_be_up(
    last: Attempt, cells: list[str], spent: str, tmp_path: Path
) -> None:
    text = shown(run_detail(view(attempts=(last,), events=(PLACED,))), 150)
    (line,) = [line for line in text.splitlines() if str(ON_DEMAND.pool) in line]
    assert line.split()[3:6] == cells
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    store.add_run(run(RUN_ID, folder=str(tmp_path)), RUN_ID)
    lease = store.lease(RUN_ID, "test", T0, at(9))
    assert lease is not None
    store.save_attempt(last.evolve(run_id=RUN_ID), lease)
    store.note(PLACED)
    assert RunWatcher(store, RUN_ID).look(at(8)).spent_usd == Decimal(spent)
    store.close()


@pytest.mark.parametrize("width", [80, 150])
def test_why_a_live_attempt_was_placed_is_not_shown_as_its_end(width: int) -> None:
    assert "placed: the cheapest" in shown(run_detail(view()), width)


REMAINING = Remaining(
    at=at(8),
    share=0.7,
    offer=SPOT.key,
    market=Market.SPOT,
    is_held=True,
    expected_usd=Decimal("9.871"),
    low_usd=Decimal("8.204"),
    high_usd=Decimal("12.35"),
    on_demand_usd=Decimal("31.2124"),
    chance_to_meet_deadline=0.934,
    chance_of=ChanceOf.ON_DEMAND,
)


def ahead(width: int = 150, *, deadline: float | None = 20, state: RunState = RunState.RUNNING, **changes: Any) -> str:
    remaining = replace(REMAINING, **changes)
    of = run(RUN_ID, state=state, deadline_at=None if deadline is None else at(deadline))
    return " ".join(shown(run_detail(view(run=of, remaining=remaining)), width).split())


@pytest.mark.parametrize("width", [80, 150])
def test_chance_and_cost_of_the_rest_are_there_in_full(width: int) -> None:
    text = ahead(width)
    assert "deadline in 12.0 h: 93 % in time, if need be on demand from now on" in text
    assert f"rest 70 % of the work: 9.87 USD expected (10-90 %: 8.20-12.35) on {SPOT.key}; 31.21 on demand" in text


def test_a_chance_says_what_it_is_the_chance_of() -> None:
    assert "93 % in time where it is" in ahead(chance_of=ChanceOf.HELD)
    assert "in 12.0 h; the chance is unknown" in ahead(chance_of=None, chance_to_meet_deadline=None)
    assert "over 99 % in time" in ahead(chance_to_meet_deadline=0.9995)
    assert "under 1 % in time" in ahead(chance_to_meet_deadline=0.0005)
    assert "deadline 60 min ago: missed" in ahead(chance_to_meet_deadline=0.0, deadline=7)


def test_an_estimate_that_is_not_of_what_is_held_or_not_of_now_says_so() -> None:
    assert f"on {SPOT.key}, once it can be had; 31.21 on demand" in ahead(is_held=False)
    assert "as of 2.5 h ago" in ahead(at=at(5.5))
    assert "as of" not in ahead()
    on_demand = ahead(offer=ON_DEMAND.key, market=Market.ON_DEMAND)
    assert f"on {ON_DEMAND.key}" in on_demand
    assert "; 31.21 on demand" not in on_demand
    assert "; 31.21 on demand" not in ahead(market=None), "of a version that did not keep the market"


def test_what_past_studies_saved_a_sweep_that_has_ended_is_said_and_written_in_full() -> None:
    trials = tuple(TrialRecord(n, {"lr": 0.1}, TrialState.COMPLETED, 0.9, cost_usd=Decimal("0.2")) for n in range(4))
    study = StudyRecord(RUN_ID, "shelf", "val_accuracy", "maximize", {}, T0, trials=trials)
    saved = Saving(3, 4, Quantiles(10.0, 6.0, 14.0))
    ended = view(run=run(RUN_ID, state=RunState.COMPLETED), study=study, past_saving=saved)
    said = "past studies are estimated to have saved 6 trials (10-90 %: 2 to 10), 1.20 USD (0.400 to 2.00)"
    assert said in " ".join(shown(run_detail(ended), 80).split())
    found = status_json(ended)["past_saving"]
    assert (found["saved_trials"]["expected"], found["saved_usd"]["expected"]) == (6.0, "1.200000")
    assert status_json(view(study=study))["past_saving"] is None


def test_no_deadline_and_no_rest_have_no_line() -> None:
    assert "deadline" not in ahead(deadline=None)
    assert "of the work" not in ahead(state=RunState.COMPLETED)
    assert "of the work" not in shown(run_detail(view()), 150)


def test_json_has_the_rest_with_all_digits() -> None:
    document = status_json(view(remaining=REMAINING))
    assert document["rest"] == {
        "at": at(8).isoformat(),
        "share_of_work": 0.7,
        "offer": SPOT.key,
        "held": True,
        "expected_cost_usd": "9.871",
        "p10_cost_usd": "8.204",
        "p90_cost_usd": "12.35",
        "on_demand_cost_usd": "31.2124",
        "chance_to_meet_deadline": 0.934,
        "chance_of": "on_demand",
    }
    assert status_json(view())["rest"] is None
