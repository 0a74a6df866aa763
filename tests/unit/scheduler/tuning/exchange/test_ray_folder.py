"""Experiment folders in the layout that Ray Tune 2 writes."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.study import StudyRecord, TrialState
from spotwise.scheduler.tuning.exchange.found import ImportOptions
from spotwise.scheduler.tuning.exchange.source import read_source

STARTED = 1_795_856_339
TOLD = ImportOptions(metric="acc", goal="maximize")
Row = dict[str, Any]


def result(config: Row, iteration: int, acc: float, *, done: bool = False) -> Row:
    """As Ray writes it, with what it adds."""
    return {
        "acc": acc,
        "eval": {"loss": 1 - acc},
        "timestamp": STARTED + iteration,
        "checkpoint_dir_name": None,
        "done": done,
        "training_iteration": iteration,
        "trial_id": "eead2_00000",
        "date": "2026-11-28_08-58-59",
        "time_this_iter_s": 0.5,
        "time_total_s": 0.5 * iteration,
        "pid": 14573,
        "hostname": "vm",
        "node_ip": "10.0.0.2",
        "config": config,
        "time_since_restore": 0.5 * iteration,
        "iterations_since_restore": iteration,
    }


def write_trial(
    folder: Path, number: int, config: Row, rows: list[Row], *, error: str = "", as_table: bool = False
) -> Path:
    path = folder / f"train_eead2_{number:05d}_{number}_lr={config.get('lr')}_2026-11-28_08-58-55"
    path.mkdir(parents=True)
    (path / "params.json").write_text(json.dumps(config, indent=2))
    (path / "params.pkl").write_bytes(b"")
    (path / "result.json").write_text("" if as_table else "".join(json.dumps(row) + "\n" for row in rows))
    if rows:
        flat = [{**row, "eval/loss": row["eval"]["loss"]} for row in rows]
        with (path / "progress.csv").open("w", newline="") as file:
            names = [name for name in flat[0] if name not in ("eval", "config")]
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(flat)
    if error:
        (path / "error.txt").write_text(error)
    return path


def curve(config: Row, *values: float, done: bool = True) -> list[Row]:
    last = len(values)
    return [result(config, i, value, done=done and i == last) for i, value in enumerate(values, 1)]


@pytest.fixture(params=[False, True], ids=["result.json", "progress.csv"])
def experiment(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two whole trials, one that a scheduler stopped, one that was killed with all, one that crashed."""
    folder = tmp_path / "exp"
    configs: list[Row] = [
        {"lr": rate, "opt": {"name": name}, "epochs": 3, "layers": [1, 2]}
        for rate, name in ((0.01, "adam"), (0.02, "sgd"), (0.04, "adam"), (0.08, "sgd"), (0.03, "sgd"))
    ]
    rows = [
        curve(configs[0], 0.5, 0.6, 0.7),
        [*curve(configs[1], 0.5, 0.6, 0.8), result(configs[1], 3, 0.8, done=True)],  # a function that returned
        curve(configs[2], 0.1),
        curve(configs[3], 0.2, 0.3, done=False),
        [],
    ]
    for number, (config, each) in enumerate(zip(configs, rows, strict=True)):
        write_trial(folder, number, config, each, error="" if each else "boom", as_table=request.param)
    (folder / "tuner.pkl").write_bytes(b"")
    (folder / "experiment_state-2026-11-28_08-58-55.json").write_text("{}")
    (folder / "driver_artifacts").mkdir()
    return folder


def read(folder: Path, options: ImportOptions = TOLD) -> tuple[StudyRecord, tuple[str, ...]]:
    found = read_source(str(folder), options)
    (study,) = found.studies
    return study, found.notes


def test_an_experiment_is_one_study(experiment: Path) -> None:
    study, notes = read(experiment)
    assert (study.id, study.metric, study.goal) == ("exp", "acc", "maximize")
    assert study.created_at == datetime.fromtimestamp(STARTED + 1, UTC)
    assert study.origin == f"Ray Tune folder {experiment}"
    assert study.space == {
        "lr": {"type": "float", "low": 0.01, "high": 0.08, "log": False},
        "opt/name": {"type": "categorical", "choices": ["adam", "sgd"]},
    }
    assert "space, inferred: lr: float 0.01 to 0.08, from 0.01 to 0.08 as tried" in notes
    assert "space, inferred: epochs is left out: it is 3 in every trial" in notes
    assert notes[-1] == "2 of 5 trials ended before iteration 3, where the longest ended: stopped early"


def test_each_trial_is_what_became_of_it(experiment: Path) -> None:
    trials = read(experiment)[0].trials
    done, pruned = TrialState.COMPLETED, TrialState.PRUNED
    assert [trial.state for trial in trials] == [done, done, pruned, pruned, TrialState.FAILED]
    assert [trial.value for trial in trials] == [0.7, 0.8, 0.1, 0.3, None]
    assert [trial.epoch for trial in trials] == [3, 3, 1, 2, 0]
    assert trials[1].curve == ((1, 0.5), (2, 0.6), (3, 0.8))
    assert trials[0].params == {"lr": 0.01, "opt/name": "adam"}
    assert trials[0].seconds == 1.5


def test_a_nested_metric_goes_by_its_whole_name(experiment: Path) -> None:
    study, _ = read(experiment, ImportOptions(metric="eval/loss", goal="minimize"))
    best = study.best()
    assert best is not None
    assert (best.number, best.value) == (1, pytest.approx(0.2))


def test_the_space_of_a_job_is_taken_where_it_is_named(experiment: Path) -> None:
    space = {
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "width": {"type": "int", "low": 1, "high": 9},
    }
    study, notes = read(experiment, ImportOptions(metric="acc", goal="maximize", space=space, space_from="job.yaml"))
    assert study.space == {"lr": space["lr"]}
    assert study.trials[0].params == {"lr": 0.01}
    assert notes[:2] == ("space of job.yaml: lr", "width is left out: no trial has it")


def test_a_trainers_own_parameters_are_unwrapped(tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.2)):
        config = {"train_loop_config": {"lr": rate}, "scaling_config": {"num_workers": 1}}
        write_trial(tmp_path / "exp", number, config, curve(config, 0.5))
    assert list(read(tmp_path / "exp")[0].space) == ["lr"]


def test_without_params_json_the_results_say_the_configuration(tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.2)):
        path = write_trial(tmp_path / "exp", number, {"lr": rate}, curve({"lr": rate}, 0.5))
    (path / "params.json").unlink()
    assert [trial.params for trial in read(tmp_path / "exp")[0].trials] == [{"lr": 0.1}, {"lr": 0.2}]


def test_a_line_that_was_torn_by_the_end_is_not_read(tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.2)):
        path = write_trial(tmp_path / "exp", number, {"lr": rate}, curve({"lr": rate}, 0.5, 0.6))
    with (path / "result.json").open("a") as file:
        file.write('{"acc": 0.9, "do')
    assert read(tmp_path / "exp")[0].trials[1].value == 0.6


def test_how_far_a_trial_came_is_its_iteration_not_its_lines(tmp_path: Path) -> None:
    """One that was restored has an iteration twice; one that reports now and then lacks some."""
    low, high = {"lr": 0.1}, {"lr": 0.2}
    now_and_then = [result(low, 1, 0.5), result(low, 4, 0.8, done=True)]
    restored = [*curve(high, 0.1, 0.2, 0.3, done=False), result(high, 3, 0.4), result(high, 4, 0.6, done=True)]
    write_trial(tmp_path / "exp", 0, low, now_and_then)
    write_trial(tmp_path / "exp", 1, high, restored)
    trials = read(tmp_path / "exp")[0].trials
    assert [(trial.state, trial.epoch) for trial in trials] == [(TrialState.COMPLETED, 4)] * 2
    assert trials[1].curve == ((1, 0.1), (2, 0.2), (3, 0.4), (4, 0.6))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_ends_as_no_number_is_a_failed_trial(tmp_path: Path, value: float) -> None:
    for number, last in enumerate((0.7, value)):
        write_trial(tmp_path / "exp", number, {"lr": number}, curve({"lr": number}, 0.5, last))
    trial = read(tmp_path / "exp")[0].trials[1]
    assert (trial.state, trial.value, trial.curve) == (TrialState.FAILED, None, ((1, 0.5),))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ImportOptions(), r"does not say which metric counts: add --metric NAME; its results have: acc, eval/loss$"),
        (ImportOptions(metric="acc"), r"whether acc is to be large or small: add --goal maximize or minimize"),
        (ImportOptions(metric="loss", goal="minimize"), r"has no metric 'loss': its results have: acc, eval/loss"),
        (ImportOptions(metric="acc", goal="maximize", study="x"), r"holds one study: leave out --study; --as ID"),
        (
            ImportOptions(metric="acc", goal="maximize", space={"depth": {"type": "int"}}, space_from="job.yaml"),
            r"has no parameter of job\.yaml: its trials have epochs, layers, lr, opt/name; leave out --space-from",
        ),
    ],
)
def test_what_must_be_said(experiment: Path, options: ImportOptions, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(experiment, options)


def test_the_folder_above_names_the_experiments_in_it(experiment: Path) -> None:
    with pytest.raises(InputError, match=r"holds no trial of Ray Tune .*: name one of the experiments in it: exp$"):
        read(experiment.parent)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = write_trial(tmp_path / "exp", 0, {"lr": 1}, curve({"lr": 1}, 0.5))
    (path / "result.json").write_text('{"acc": 1}\n{"acc"\n{"acc": 2}\n')
    with pytest.raises(InputError, match=r"result\.json:2 is damaged: .*move that trial's folder away"):
        read(tmp_path / "exp")


def test_trials_that_teach_nothing(tmp_path: Path) -> None:
    write_trial(tmp_path / "crashed", 0, {"lr": 1}, curve({"lr": 1}, 0.5), error="boom")
    with pytest.raises(InputError, match="no trial ended well with a value of acc"):
        read(tmp_path / "crashed")
    write_trial(tmp_path / "alone", 0, {"lr": 1}, curve({"lr": 1}, 0.5))
    with pytest.raises(InputError, match="no parameter differs between trials"):
        read(tmp_path / "alone")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("learning rates that worked\n")
    with pytest.raises(
        InputError, match=r"notes\.txt is nothing that studies can be imported from; allowed: an export"
    ):
        read(tmp_path / "notes.txt")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes: invalid start byte at byte 0; allowed: an export"):
        read(tmp_path / "bytes")
