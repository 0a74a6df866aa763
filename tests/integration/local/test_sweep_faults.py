"""A sweep through the whole product with real Ray, whose driver is killed."""

from __future__ import annotations

import signal

import pytest
from installation import PYTHON, Installation, pool

from spotwise.checkpoints import read_progress
from spotwise.scheduler.accounting.ledger import cost_of
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.tuning.study.study_state import read_study

EPOCHS = 6


@pytest.mark.slow
def test_killed_driver_costs_no_trial_its_work(here: Installation) -> None:
    """kill -9 of Ray's driver: all trials complete, none starts over, and the money of all is accounted for."""
    here.market(pool("a"))
    here.settings(local={"market": "market.yaml"}, grace="20s")
    job = here.job(
        f"exec {PYTHON} train.py --epochs {EPOCHS} --epoch-s 0.5",
        work={"epochs": EPOCHS},
        sweep={
            "metric": "loss",
            "goal": "minimize",
            "trials": 3,
            "parallel": 2,
            "space": {"x": {"type": "float", "low": 0, "high": 10}},
            "seed": 0,
        },
    )
    run_id = here.submit(job)
    trials = here.home / "runs" / run_id / "trials"

    def epochs(number: int) -> list[int]:
        records = read_progress(str(trials / f"{number:04d}" / "progress.jsonl"))
        return [record.epoch for record in records if record.event == "progress"]

    here.wait(lambda: trials.exists() and epochs(0) and epochs(1), "two trials at work")
    here.program(run_id).send_signal(signal.SIGKILL)
    here.wait_for_end(run_id)

    first, second = here.attempts(run_id)
    assert (first.state, second.state) == (AttemptState.FAILED, AttemptState.COMPLETED)
    study = read_study(here.home / "runs" / run_id / "study")
    assert [trial.phase.value for trial in study.trials.values()] == ["completed"] * 3
    assert [epochs(number) for number in study.trials] == [list(range(1, EPOCHS + 1))] * 3
    charges = here.charges(run_id)
    for attempt in (first, second):
        assert attempt.ended_at is not None
        amounts = [charge.amount_usd for charge in charges if charge.attempt_id == attempt.id]
        assert sum(amounts) == cost_of(attempt, attempt.ended_at)
    assert {charge.trial for charge in charges} >= {0, 1, 2}
    shown = here.json("status", run_id)["trials"]
    assert [trial["state"] for trial in shown] == ["completed"] * 3
    assert sum(trial["resumes"] for trial in shown) >= 1
