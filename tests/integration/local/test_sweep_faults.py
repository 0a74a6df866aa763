"""A sweep through the whole product with real Ray, whose driver is killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from installation import PYTHON, TRAIN, Installation, pool

from spotwise.checkpoints import read_progress
from spotwise.scheduler.accounting.ledger import cost_of
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.tuning.study.study_state import read_study

EPOCHS = 6
# Prints while it saves, which takes its time: a pipe that nobody reads any more would end it before it has saved.
SAVES_ALOUD = TRAIN.replace(
    """def leave(*_):
""",
    """def leave(*_):
    print("saving", flush=True)
    time.sleep(0.3)
    print("not saved yet", flush=True)
""",
)


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


@pytest.mark.slow
def test_a_cancelled_sweep_keeps_the_last_save_of_every_trial_under_a_pipe(here: Installation) -> None:
    here.settings(grace="30s")
    (here.work / "aloud.py").write_text(SAVES_ALOUD)
    job = here.job(
        f"{PYTHON} aloud.py --epochs 1000 --epoch-s 0.3 --every 1000 2>&1 | tee -a printed-$SPOTWISE_TRIAL_ID",
        work={"epochs": 1000},
        sweep={
            "metric": "loss",
            "goal": "minimize",
            "trials": 2,
            "parallel": 2,
            "space": {"x": {"type": "float", "low": 0, "high": 10}},
            "seed": 0,
        },
    )
    run_id = here.submit(job)
    folders = [here.home / "runs" / run_id / "trials" / name for name in ("0000", "0001")]

    def epochs(folder: Path) -> list[int]:
        records = read_progress(str(folder / "progress.jsonl"))
        return [record.epoch for record in records if record.event == "progress"]

    here.wait(lambda: all(epochs(folder) for folder in folders), "two trials at work")
    here.cli("cancel", run_id)
    here.wait_for_end(run_id, RunState.CANCELLED)
    for folder in folders:
        assert int((folder / "checkpoints" / "epoch").read_text()) == epochs(folder)[-1]
        assert read_progress(str(folder / "progress.jsonl"))[-1].event == "stopping"
