"""What torch and numpy programs hand over is saved so that reading it never runs code, and comes back exactly."""

from __future__ import annotations

import errno
import io
import pickle
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spotwise.checkpoints import CheckpointFolder, Manifest, NoSpaceError, StateError, TrainingPosition
from spotwise.checkpoints.progress_log import utc_now
from spotwise.checkpoints.rng import capture_rng, restore_rng
from spotwise.checkpoints.state import TrainingState
from spotwise.checkpoints.state_file import read_state, state_file_name, state_writer
from spotwise.checkpoints.storage import LocalStorage


class Phase(StrEnum):
    WARM = "warm"


class Level(IntEnum):
    LOW = 1


class Kind(Enum):
    A = "a"


def round_trip(state: dict[str, Any], name: str = "state.pt") -> dict[str, Any]:
    stream = io.BytesIO()
    state_writer(name, state)(stream)
    stream.seek(0)
    return read_state(name, stream, source="test")


def make_model() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1)
    )


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
    "one cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20),
    "lambda": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
    "plateau": lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1),
    "multi step": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4, 4]),
    "sequential": lambda optimizer: torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.ConstantLR(optimizer, total_iters=2),
            torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4]),
        ],
        [2],
    ),
    "chained": lambda optimizer: torch.optim.lr_scheduler.ChainedScheduler(
        [
            torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5]),
            torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
        ]
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_model_optimizer_and_schedule_train_on_as_if_nothing_had_happened(schedule: str) -> None:
    def parts() -> dict[str, Any]:
        model = make_model()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        return {"model": model, "optimizer": optimizer, "lr_schedule": SCHEDULES[schedule](optimizer)}

    def train(parts: dict[str, Any], steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            parts["optimizer"].zero_grad()
            loss = (parts["model"](torch.randn(8, 3)) - 1).square().mean()
            loss.backward()
            parts["optimizer"].step()
            parts["lr_schedule"].step(*([loss.item()] if schedule == "plateau" else []))
            losses.append(loss.item())
        return losses

    original = parts()
    train(original, 3)
    state = TrainingState(original)
    saved = round_trip({"parts": state.capture(), "rng": state.capture_rng()})
    expected = train(original, 4)

    copy = parts()
    other = TrainingState(copy)
    other.restore(saved["parts"], source="test")
    other.restore_rng(saved["rng"])
    assert train(copy, 4) == expected


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        torch.rand(1).item(),
    ]


@pytest.mark.parametrize("name", ["state.pt", "state.json"])
def test_global_generators_continue(name: str) -> None:
    draw()  # an odd number of normal draws leaves the second one of a pair in the state
    state = capture_rng({})
    if name == "state.json":
        del state["torch"]  # JSON is for programs without torch
    saved, expected = round_trip({"rng": state}, name)["rng"], draw()
    restore_rng(saved, {})
    assert draw()[: 5 if name == "state.pt" else 4] == expected[: 5 if name == "state.pt" else 4]


@pytest.mark.parametrize(
    ("make", "take"),
    [
        (lambda: random.Random(1), lambda generator: generator.random()),
        (lambda: np.random.default_rng(1), lambda generator: generator.normal()),
        (lambda: np.random.Generator(np.random.MT19937(1)), lambda generator: generator.normal()),
        (lambda: np.random.Generator(np.random.Philox(1)), lambda generator: generator.normal()),
        (lambda: torch.Generator().manual_seed(1), lambda generator: torch.rand(1, generator=generator).item()),
    ],
    ids=["python", "PCG64", "MT19937", "Philox", "torch"],
)
def test_a_generator_of_ones_own_continues(make: Callable[[], Any], take: Callable[[Any], float]) -> None:
    original, copy = make(), make()
    take(original)
    saved = round_trip(capture_rng({"mine": original}))
    restore_rng(saved, {"mine": copy})
    assert [take(copy) for _ in range(3)] == [take(original) for _ in range(3)]


def test_numbers_and_arrays_of_numpy_survive() -> None:
    saved = round_trip({"best": np.float64(0.25), "seen": np.arange(4, dtype=np.int32), "nested": [{"n": np.int64(3)}]})
    assert (saved["best"], saved["nested"][0]["n"]) == (0.25, 3)
    assert saved["seen"].dtype == np.int32
    assert saved["seen"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [print, object(), Path("a"), np.array([print]), {"deep": [lambda: 0]}])
def test_what_could_not_be_read_back_safely_is_refused_by_name(value: object) -> None:
    with pytest.raises(StateError, match=r"model\.thing"):
        state_writer("state.pt", {"model": {"thing": value}})


@pytest.mark.parametrize(
    "value",
    [Phase.WARM, Level.LOW, np.str_("a"), np.longdouble(1), np.zeros((2, 2)).view(np.matrix), np.ma.zeros(2)]
    + [{key: 0} for key in (Phase.WARM, Level.LOW, Kind.A, np.str_("a"), np.int64(1), (1, Kind.A))],
    ids=repr,
)
def test_look_alikes_of_plain_values_are_refused_too(value: object) -> None:
    """Torch would save them, and refuse to read the whole file on resume."""
    with pytest.raises(StateError, match=r"model\.thing"):
        state_writer("state.pt", {"model": {"thing": value}})


def test_whatever_is_saved_is_read_again() -> None:
    plain = {"a": None, 1: b"x", 1.5: True, (1, "b"): 2j, None: [np.complex64(1j)], False: "text"}
    tensors = {"p": torch.nn.Parameter(torch.ones(1)), "s": torch.Size([1]), "t": torch.float32}
    saved = round_trip({"plain": plain, "tensors": tensors, "device": torch.device("cpu")})
    assert saved == {"plain": plain, "tensors": tensors, "device": torch.device("cpu")}


def test_containers_come_back_as_what_they_were() -> None:
    """A multiset that came back as a dict would fail at its first missing key, steps after the resume."""
    state = {
        "counter": Counter("aab"),
        "ordered": OrderedDict(b=np.int64(1), a=2),
        "set": {1, "b", (2, "c")},
        "bytes": bytearray(b"x"),
        "inside": [Counter({3: np.int64(2)}), ({4}, OrderedDict())],
    }
    saved = round_trip(state)
    assert saved == state
    assert [type(value) for value in saved.values()] == [type(value) for value in state.values()]
    assert (type(saved["inside"][0]), type(saved["inside"][1][1])) == (Counter, OrderedDict)
    assert saved["counter"]["missing"] == 0


class Point(NamedTuple):
    x: int


class Settings(dict[str, int]):
    """A dict with ways of its own."""


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (defaultdict(int, {"a": 1}), r"dict\(\.\.\.\).*defaultdict again"),
        (Settings(a=1), r"dict\(\.\.\.\)"),
        (frozenset({1}), r"sorted\(\.\.\.\)"),
        (deque([1]), r"list\(\.\.\.\)"),
        (Point(1), r"list\(\.\.\.\)"),
        (PurePosixPath("a"), r"str\(\.\.\.\)"),
        ([range(2)], "Counters"),
        ({Kind.A}, "Counters"),
    ],
    ids=repr,
)
def test_containers_that_would_come_back_as_others_are_refused_with_advice(value: object, advice: str) -> None:
    with pytest.raises(StateError, match=rf"model\.thing.*{advice}"):
        state_writer("state.pt", {"model": {"thing": value}})


@pytest.mark.parametrize(
    "value", [(1, 2), Counter("a"), OrderedDict(a=1), defaultdict(int), {1}, Settings(), Level.LOW, Phase.WARM, b"x"]
)
def test_json_refuses_what_would_come_back_as_another_type(value: object) -> None:
    with pytest.raises(StateError, match=r"walk\.thing.*JSON"):
        state_writer("state.json", {"walk": {"thing": value}})


def test_json_holds_the_numbers_of_numpy() -> None:
    assert round_trip({"best": np.float64(0.5), "n": [np.int64(3)]}, "state.json") == {"best": 0.5, "n": [3]}


def test_a_state_that_contains_itself_is_refused() -> None:
    state: dict[str, Any] = {}
    state["self"] = state
    for name in ("state.pt", "state.json"):
        with pytest.raises(StateError, match="contains itself"):
            state_writer(name, state)


def test_a_malicious_state_file_does_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "owned",)

    stream = io.BytesIO()
    torch.save({"parts": Malicious()}, stream)
    stream.seek(0)
    with pytest.raises(StateError, match="intact, but"):
        read_state("state.pt", stream, source="test")
    with pytest.raises(StateError):
        read_state("state.pt", io.BytesIO(pickle.dumps(Malicious(), protocol=2)), source="test")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("state", [{"a": {1: "number as key"}}, {"a": print}, {"a": [{"b": {(1, 2): 0}}]}])
def test_json_refuses_what_it_would_change_or_cannot_hold(state: dict[str, Any]) -> None:
    with pytest.raises(StateError):
        state_writer("state.json", state)


def test_a_model_of_another_shape_is_explained() -> None:
    state = TrainingState({"model": torch.nn.Linear(3, 4)}).capture()
    with pytest.raises(StateError, match="other hyperparameters"):
        TrainingState({"model": torch.nn.Linear(3, 5)}).restore(state, source="test")


def test_a_full_disk_is_told_as_such_though_torch_hides_it(tmp_path: Path) -> None:
    """torch.save ends with an error of its own when the stream's write fails."""

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 10_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    class FullStorage(LocalStorage):
        def create(self, name: str) -> Any:
            (tmp_path / name).parent.mkdir(parents=True)
            return Full(tmp_path / name, "w")

    write = state_writer("state.pt", {"model": torch.zeros(100_000)})
    with pytest.raises(NoSpaceError):
        CheckpointFolder(FullStorage(tmp_path)).commit(Manifest(TrainingPosition(1, 1), utc_now()), "state.pt", write)
    assert list(tmp_path.iterdir()) == []


def test_where_torch_is_in_use_it_writes_the_state() -> None:
    assert state_file_name(TrainingPosition(1, 5)) == "state.pt"
    assert state_file_name(TrainingPosition(1, 7, 2)) == "state-batch-2.pt"
