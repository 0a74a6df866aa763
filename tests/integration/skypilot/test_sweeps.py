"""A sweep on the spot markets of two clouds, one host on each."""

from __future__ import annotations

from pathlib import Path

import pytest
from installation import TRAIN, ended
from sky_installation import SkyInstallation

from spotwise.checkpoints import read_progress
from spotwise.scheduler.core.study import TrialState

EPOCHS, TRIALS = 4, 6
SWEEP = {
    "metric": "loss",
    "goal": "minimize",
    "trials": TRIALS,
    "parallel": 2,
    "hosts": 2,
    "space": {"x": {"type": "float", "low": 0, "high": 10}},
    "seed": 0,
}
# What every trial finds, whatever Python the sweep host itself runs in.
LOOK_AROUND = """
echo "$GREETING with $TOKEN in $(basename "$PWD")"
if [ "$SPOTWISE_TRIAL_ID" = 0001 ]; then
    [ "$SPOTWISE_WORKDIR" = "$PWD" ] && echo "the work folder is $(ls train.py)'s"
    python -c 'import spotwise.checkpoints, sys; print("no Ray here:", "ray" not in sys.modules)'
    python -c 'import ray' 2>/dev/null || echo "nor anywhere"
    env | grep -E '^(RAY|TUNE)_' || echo "nor in the environment"
fi
"""


@pytest.mark.core
def test_a_host_that_is_preempted_costs_no_trial_its_work(site: SkyInstallation) -> None:
    """However late one host comes up, the other is at its first trial still: that waits until both were seen."""
    command, go = site.sky_train(EPOCHS), site.storage() / "go"
    wait = f"\n    while epoch and not os.path.exists({str(go)!r}): time.sleep(0.05)"
    before, pause, after = TRAIN.partition("    time.sleep(args.epoch_s)")
    assert pause
    (site.work / "train.py").write_text(before + pause + wait + after)
    job = site.sky_job(
        LOOK_AROUND + command,
        name="sweep",
        sweep=SWEEP,
        work={"epochs": EPOCHS, "hours": 0.01, "reference": "V100"},
        envs={"GREETING": "hello"},
        secrets={"TOKEN": "a-token"},
    )
    run_id = site.submit(job)
    follower = site.start("logs", "-f", run_id)
    trials = Path(site.run(run_id).storage) / "trials"

    def epochs(number: int) -> list[int]:
        records = read_progress(str(trials / f"{number:04d}" / "progress.jsonl"))
        return [record.epoch for record in records if record.event == "progress"]

    def is_at_work(host: int) -> bool:
        return any(0 < len(epochs(number)) < EPOCHS for number in range(host, TRIALS, 2))

    site.wait(lambda: is_at_work(0) and epochs(1), "trials of both hosts")
    site.wait(lambda: any(trial["value"] for trial in site.json("status", run_id)["trials"]), "a metric in the status")
    cluster, node = site.node_of_attempt(site.attempts(run_id)[0])
    site.world.reclaim(cluster, node)
    shown = site.json("status", run_id)
    assert shown["state"] == "running"
    assert {trial["trial"] % 2 for trial in shown["trials"]} == {0, 1}, "of both hosts"
    go.touch()
    site.wait_for_end(run_id)

    assert site.places(run_id)[:2] == ["gcp/spot", "aws/spot"]
    assert site.places(run_id)[2] != "gcp/spot"
    assert site.outcomes(run_id) == ["preempted", "completed", "completed"]
    assert [attempt.host for attempt in site.attempts(run_id)] == [0, 1, 0]
    assert [epochs(number) for number in range(TRIALS)] == [list(range(1, EPOCHS + 1))] * TRIALS, "none twice"

    study = next(study for study in site.store.studies() if study.id == run_id)
    assert [trial.number for trial in study.trials] == list(range(TRIALS))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETED}
    assert sum(trial.resumes for trial in study.trials) >= 1
    assert all(trial.cost_usd for trial in study.trials)

    followed = ended(follower).out
    assert [f"--- attempt {number}" in followed for number in (1, 2, 3)] == [True] * 3
    assert "told to save" in followed
    assert "is complete as far as host 1 of 2 goes" in followed
    about = site.cli("logs", run_id, "--trial", "1").out
    assert "hello with a-token in sky_workdir" in about
    assert "the work folder is train.py's\nno Ray here: True\nnor anywhere\nnor in the environment\n" in about
    assert "trained to the end" in about
    assert not [line for line in site.world.processes().values() if "train.py" in line]
    site.assert_clean(run_id)
