"""The recipes train alone, reach a sensible quality, and are bit-identical after interruptions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from spotwise.checkpoints import EXIT_PREEMPTED, ProgressReader, ProgressRecord, latest_checkpoint, read_progress
from spotwise.recipes import recipe_folder, recipe_names

EPOCHS = 4
REPOSITORY = Path(__file__).parents[3]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without any scheduler in it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPOTWISE_", "HP_"))}
    return {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **changes}


@contextmanager
def started(recipe: str, folder: Path, *arguments: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(recipe_folder(recipe) / "train.py"), "--epochs", str(EPOCHS), *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment(**changes), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run(recipe: str, folder: Path, *arguments: str) -> list[ProgressRecord]:
    with started(recipe, folder, *arguments) as process:
        assert process.wait(120) == 0
    return read_progress(str(folder / "checkpoints" / "progress.jsonl"))


def wait_until(process: subprocess.Popen[bytes], folder: Path, seen: Callable[[ProgressRecord], bool]) -> None:
    reader = ProgressReader(str(folder / "checkpoints" / "progress.jsonl"))
    reader.new()  # what earlier processes wrote
    while not any(seen(record) for record in reader.new()):
        assert process.poll() is None, "ended before it could be interrupted"
        time.sleep(0.01)


def metrics_by_epoch(records: list[ProgressRecord]) -> list[tuple[int, dict[str, float]]]:
    """What each epoch reported; an epoch done again after a kill must say the same again to be counted once."""
    told = sorted({(record.epoch, *sorted(record.metrics.items())) for record in records if record.event == "progress"})
    return [(epoch, dict(metrics)) for epoch, *metrics in told]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["digits_mlp", "digits_cnn"])
def test_interrupted_in_an_epoch_and_killed_after_one_the_losses_are_bit_identical(recipe: str, tmp_path: Path) -> None:
    undisturbed = run(recipe, tmp_path / "undisturbed")

    folder = tmp_path / "interrupted"
    with started(recipe, folder, "--epoch-seconds", "0.8", SPOTWISE_CHECKPOINT_EVERY="5 steps") as process:
        wait_until(process, folder, lambda record: record.event == "checkpoint" and record.epoch == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == EXIT_PREEMPTED
    assert latest_checkpoint(str(folder / "checkpoints")).position.batch > 0

    with started(recipe, folder, "--epoch-seconds", "0.8") as process:
        wait_until(process, folder, lambda record: record.event == "checkpoint" and record.epoch == EPOCHS - 1)
        process.kill()
    finished = run(recipe, folder)

    assert metrics_by_epoch(finished) == metrics_by_epoch(undisturbed)
    assert len(metrics_by_epoch(finished)) == EPOCHS
    assert finished[-1].event == "finished"
    assert finished[-1].step == undisturbed[-1].step


@pytest.mark.slow
def test_the_regressor_beats_the_mean(tmp_path: Path) -> None:
    """The target's standard deviation, 77, is the error of always answering the mean."""
    records = run("tabular_regressor", tmp_path, "--epochs", "20")
    assert records[-1].metrics["val_rmse"] < 65


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_is_short_and_its_yaml_complete(recipe: str) -> None:
    folder = recipe_folder(recipe)
    job = yaml.safe_load((folder / "job.yaml").read_text())
    assert len((folder / "train.py").read_text().splitlines()) <= 100
    assert job["workdir"] == "."
    assert job["run"].split()[0] in ("python", "torchrun")
    assert {"name", "owner", "team", "project", "deadline", "budget", "checkpoint", "work", "resources"} <= job.keys()


def examples() -> list[Path]:
    return [*REPOSITORY.glob("configs/jobs/*.yaml"), *REPOSITORY.glob("recipes/*/job.yaml")]


@pytest.mark.parametrize("path", examples(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_an_example_runs_the_script_with_flags_that_it_has(path: Path) -> None:
    job = yaml.safe_load(path.read_text())
    script = (path.parent / job["workdir"] / "train.py").resolve()
    known = set(re.findall(r'"(--[a-z-]+)"', script.read_text()))
    used = re.findall(r"--[a-z-]+", job["run"].partition("train.py")[2])
    assert set(used) <= known
    assert f"--epochs {job['work']['epochs']}" in job["run"]


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="digits_mlp"):
        recipe_folder("digits")
