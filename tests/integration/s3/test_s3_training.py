"""A training whose checkpoints lie on S3, killed in the middle of an upload."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, Wire

from spotwise.checkpoints import latest_checkpoint, read_progress, storage_for
from spotwise.recipes import recipe_folder

EPOCHS = 3


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire(os.environ["AWS_ENDPOINT_URL"])
    yield made
    made.close()


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}/checkpoints"


def start(url: str, folder: Path, width: int, endpoint: str, epoch_s: float) -> subprocess.Popen[bytes]:
    script = recipe_folder("digits_mlp") / "train.py"
    sizes = ["--epochs", str(EPOCHS), "--width", str(width), "--epoch-seconds", str(epoch_s)]
    places = {"SPOTWISE_CHECKPOINT_URL": url, "SPOTWISE_PROGRESS_URL": str(folder / "progress.jsonl")}
    environ = {**os.environ, **places, "AWS_ENDPOINT_URL": endpoint}
    return subprocess.Popen([sys.executable, str(script), *sizes], cwd=folder, env=environ)


def wait_for(folder: Path, event: str, epoch: int, process: subprocess.Popen[bytes]) -> None:
    while not any((r.event, r.epoch) == (event, epoch) for r in read_progress(str(folder / "progress.jsonl"))):
        assert process.poll() is None, "ended before it could be interrupted"
        time.sleep(0.01)


# One upload is a single request; beyond 50 MB it is one of many parts.
@pytest.mark.slow
@pytest.mark.parametrize(("width", "mib"), [(256, 0.5), (2400, 51)], ids=["one request", "many parts"])
def test_killed_in_the_middle_of_an_upload_the_next_continues_from_the_checkpoint_before(
    tmp_path: Path, wire: Wire, url: str, width: int, mib: float
) -> None:
    killed = start(url, tmp_path, width, wire.endpoint, epoch_s=1.0)
    wait_for(tmp_path, "checkpoint", 1, killed)
    sent = wire.sent
    wait_for(tmp_path, "progress", 2, killed)
    while wire.sent - sent < mib * (1 << 20):
        assert killed.poll() is None
        if wire.sent - sent > (mib - 0.4) * (1 << 20):
            wire.bytes_per_s = 50_000
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    wire.cut()

    assert [r.epoch for r in read_progress(str(tmp_path / "progress.jsonl")) if r.event == "checkpoint"] == [1]
    first = latest_checkpoint(url)
    assert first is not None
    assert first.position.epoch == 1
    manifests = [name for name in storage_for(url).files("") if name.endswith("manifest.json")]
    assert manifests == [f"{first.name}/manifest.json"]

    assert start(url, tmp_path, width, os.environ["AWS_ENDPOINT_URL"], epoch_s=0.0).wait(120) == 0
    records = read_progress(str(tmp_path / "progress.jsonl"))
    assert [r.epoch for r in records if r.event == "started"] == [0, 1]
    assert (records[-1].event, records[-1].epoch) == ("finished", EPOCHS)
    newest = latest_checkpoint(url)
    assert newest is not None
    assert newest.position.epoch == EPOCHS


@pytest.mark.slow
def test_told_to_leave_it_saves_there_and_the_next_continues(tmp_path: Path, url: str) -> None:
    told = start(url, tmp_path, 64, os.environ["AWS_ENDPOINT_URL"], epoch_s=2.0)
    wait_for(tmp_path, "checkpoint", 1, told)
    told.terminate()
    assert told.wait(60) == 75
    assert start(url, tmp_path, 64, os.environ["AWS_ENDPOINT_URL"], epoch_s=0.0).wait(120) == 0
    records = read_progress(str(tmp_path / "progress.jsonl"))
    assert [r.event for r in records if r.event in ("stopping", "finished")] == ["stopping", "finished"]
