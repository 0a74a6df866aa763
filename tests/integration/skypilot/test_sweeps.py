"""A sweep on several hosts at once, of which one loses its machine."""

from __future__ import annotations

from pathlib import Path

from sky_installation import SkyInstallation

from spotwise.checkpoints import read_progress

EPOCHS, TRIALS = 4, 6


def test_a_host_that_is_preempted_costs_no_trial_its_work(site: SkyInstallation) -> None:
    sweep = {
        "metric": "loss",
        "goal": "minimize",
        "trials": TRIALS,
        "parallel": 2,
        "hosts": 2,
        "space": {"x": {"type": "float", "low": 0, "high": 10}},
        "seed": 0,
    }
    work = {"epochs": EPOCHS, "hours": 0.01, "reference": "V100"}
    command = f'echo "trial $SPOTWISE_TRIAL_ID in $(pwd): $GREETING $TOKEN"\n{site.sky_train(EPOCHS, epoch_s=2)}'
    job = site.sky_job(command, name="sweep", sweep=sweep, work=work, envs={"GREETING": "hello"}, secrets={"TOKEN": "s3same"})
    run_id = site.submit(job)
    storage = Path(site.run(run_id).storage)

    def epochs(number: int) -> list[int]:
        records = read_progress(str(storage / "trials" / f"{number:04d}" / "progress.jsonl"))
        return [record.epoch for record in records if record.event == "progress"]

    def at_work() -> set[int]:
        return {number for number in range(TRIALS) if 0 < len(epochs(number)) < EPOCHS}

    site.wait(lambda: {n % 2 for n in at_work()} == {0, 1}, "trials of both hosts at work")
    print(site.json("status", run_id))
    lost = site.attempts(run_id)[0]
    cluster, node = site.node_of_attempt(lost)
    site.world.reclaim(cluster, node)
    site.wait_for_end(run_id)
    print(site.outcomes(run_id), site.places(run_id))
    print([epochs(n) for n in range(TRIALS)])
    print(site.json("status", run_id))
    print(site.cli("logs", run_id).out)
    print(site.cli("logs", run_id, "--trial", "0").out)
    site.assert_clean(run_id)
    assert 0
