"""Models that a wrapper has renamed, scalers of other devices, models that are in parts: continued, or well advised."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
from torch import nn

from spotwise.checkpoints import StateError
from spotwise.checkpoints.state import TrainingState
from spotwise.checkpoints.state_file import state_writer


def make_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def compiled(module: nn.Module) -> nn.Module:
    """Nothing is compiled before its first call."""
    return cast("nn.Module", torch.compile(module))


def with_compiled_layer() -> nn.Module:
    model = make_model()
    model[0] = compiled(model[0])
    return model


WRAPPED: dict[str, Callable[[], nn.Module]] = {
    "bare": make_model,
    "compiled": lambda: compiled(make_model()),
    "layer compiled": with_compiled_layer,
    "parallel": lambda: nn.DataParallel(make_model()),
    "compiled and parallel": lambda: compiled(nn.DataParallel(make_model())),
    "parallel and compiled": lambda: nn.DataParallel(compiled(make_model())),
}


@pytest.mark.parametrize("before", WRAPPED)
@pytest.mark.parametrize("after", WRAPPED)
def test_a_model_is_continued_whether_it_was_or_is_compiled_or_parallel(before: str, after: str) -> None:
    saved, model = WRAPPED[before](), WRAPPED[after]()
    state = TrainingState({"model": saved}).capture()
    TrainingState({"model": model}).restore(state, source="test")
    for mine, theirs in zip(model.state_dict().values(), saved.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_other_names_are_still_a_refusal() -> None:
    state = TrainingState({"model": compiled(nn.Linear(3, 4))}).capture()
    with pytest.raises(StateError, match="other hyperparameters"):
        TrainingState({"model": make_model()}).restore(state, source="test")


def test_a_model_whose_own_layer_has_a_wrappers_name_is_left_alone() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 1)
            self.head = nn.Linear(1, 1)

    saved, model = Odd(), Odd()
    TrainingState({"model": model}).restore(TrainingState({"model": saved}).capture(), source="test")
    assert torch.equal(model.module.weight, saved.module.weight)


def scaler(enabled: bool) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", enabled=enabled)


def test_a_scaler_saved_where_it_was_off_is_refused_with_the_reason() -> None:
    state = TrainingState({"scaler": scaler(False)}).capture()
    with pytest.raises(StateError, match=r"step-1.*'scaler' was off.*same kind"):
        TrainingState({"scaler": scaler(True)}).restore(state, source="step-1")


def test_a_scaler_that_is_off_here_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    state = TrainingState({"scaler": scaler(True)}).capture()
    with caplog.at_level(logging.WARNING):
        TrainingState({"scaler": scaler(False)}).restore(state, source="step-1")
    assert "off here" in caplog.text


@pytest.mark.parametrize("enabled", [True, False])
def test_a_scaler_of_the_same_kind_is_continued_without_a_word(enabled: bool, caplog: pytest.LogCaptureFixture) -> None:
    one, other = scaler(enabled), scaler(enabled)
    if enabled:
        one.load_state_dict({**one.state_dict(), "scale": 8.0})
    TrainingState({"scaler": other}).restore(TrainingState({"scaler": one}).capture(), source="test")
    assert (other.state_dict(), caplog.text) == (one.state_dict(), "")


@pytest.fixture
def one_rank() -> Iterator[None]:
    """A process group of this process alone; no port is opened."""
    distributed = torch.distributed
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_sharded_model_is_refused_with_what_to_do_instead(one_rank: None) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import distribute_tensor

    model = nn.Linear(2, 2)
    mesh = init_device_mesh("cpu", (1,))
    model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh))
    with pytest.raises(StateError, match=r"model\.weight.*sharded.*torch\.distributed\.checkpoint"):
        state_writer("state.pt", TrainingState({"model": model}).capture())


def test_a_model_in_fsdps_wrapper_is_refused_before_its_state_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rank 0 would ask, and wait for the others for ever."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    class Wrapper(FullyShardedDataParallel):
        def __init__(self) -> None:
            nn.Module.__init__(self)

        def state_dict(self, *_: Any, **__: Any) -> Any:
            pytest.fail("its state was asked for")

    with pytest.raises(StateError, match="sharded"):
        TrainingState({"model": nn.Sequential(Wrapper())})
