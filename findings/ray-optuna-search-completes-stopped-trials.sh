#!/usr/bin/env bash
# Ray Tune's OptunaSearch writes trials that a scheduler stopped as completed, and never ends one whose value is NaN.
#
# Expected: a trial that ASHA stopped at its first step is PRUNED in the Optuna study, as Optuna's own pruning leaves it,
#           and one that ended in NaN is FAILED.
# Happens:  stopped ones are COMPLETE, with their value of an early step beside others' of the last; the one with NaN
#           stays RUNNING for ever (a warning in the log), so that samplers count it as in flight.
# Versions: ray 2.60.0, optuna 5.0.0, Python 3.11; 2026-12-01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HOME="$folder" TMPDIR="$folder" RAY_DEDUP_LOGS=0
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ray[tune]==2.60.0" optuna==5.0.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON' 2>/dev/null
import sys
from collections import Counter

import optuna
import ray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

folder, steps = sys.argv[1], 9


def train(config):
    for step in range(1, steps + 1):
        tune.report({"acc": float("nan") if config["x"] > 0.9 else config["x"] + 0.01 * step})


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
storage = JournalStorage(JournalFileBackend(f"{folder}/journal.log"))
search = OptunaSearch(
    space={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
    metric="acc", mode="max", storage=storage, study_name="study", sampler=optuna.samplers.RandomSampler(seed=0),
)
scheduler = ASHAScheduler(time_attr="training_iteration", metric="acc", mode="max", grace_period=1, max_t=steps)
config = tune.TuneConfig(search_alg=search, scheduler=scheduler, num_samples=12, max_concurrent_trials=1)
results = tune.Tuner(train, tune_config=config, run_config=tune.RunConfig(verbose=0)).fit()
reached = Counter(result.metrics["training_iteration"] for result in results)
states = Counter(trial.state.name for trial in optuna.load_study(study_name="study", storage=storage).trials)
print("steps reached by trials:", dict(reached))
print("states in Optuna:       ", dict(states))
stopped = sum(count for step, count in reached.items() if step < steps)
assert stopped > 0 and states["PRUNED"] == 0 and states["RUNNING"] > 0, (reached, states)
PYTHON
