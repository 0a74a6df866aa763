"""What a program says of its GPU memory: PyTorch is asked only where it has a GPU in use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from spotwise.checkpoints.gpu_memory import peak_gpu_memory_gib
from spotwise.checkpoints.progress import ProgressEvent, read_progress
from spotwise.checkpoints.progress_log import ProgressLog
from spotwise.checkpoints.schedule import TrainingPosition

PutInPlace = Callable[..., None]


@pytest.fixture
def pytorch(monkeypatch: pytest.MonkeyPatch) -> PutInPlace:
    """Plays PyTorch with GPUs that have held so many bytes at most."""

    def put(*peaks: int, available: bool = True, in_use: bool = True) -> None:
        cuda = SimpleNamespace(
            is_available=lambda: available,
            is_initialized=lambda: in_use,
            device_count=lambda: len(peaks),
            max_memory_allocated=lambda device: peaks[device],
        )
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    return put


def test_the_gpu_that_held_most_counts(pytorch: PutInPlace) -> None:
    pytorch(2 * 2**30, 5 * 2**29)
    assert peak_gpu_memory_gib() == 2.5


@pytest.mark.parametrize("state", [{"available": False}, {"in_use": False}], ids=["no GPU", "not in use"])
def test_without_a_gpu_in_use_nothing_is_said(pytorch: PutInPlace, state: dict[str, bool]) -> None:
    pytorch(2**30, **state)
    assert peak_gpu_memory_gib() is None


def test_a_gpu_that_held_nothing_says_nothing(pytorch: PutInPlace) -> None:
    pytorch(0)
    assert peak_gpu_memory_gib() is None


def test_without_pytorch_nothing_is_said_and_it_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert peak_gpu_memory_gib() is None
    assert "torch" not in sys.modules


def test_the_progress_file_tells_it(pytorch: PutInPlace, tmp_path: Path) -> None:
    pytorch(3 * 2**30)
    url = str(tmp_path / "progress.jsonl")
    ProgressLog(url, attempt=1).write(ProgressEvent.PROGRESS, TrainingPosition(), checkpoint=None)
    assert [record.gpu_memory_gib for record in read_progress(url)] == [3.0]
