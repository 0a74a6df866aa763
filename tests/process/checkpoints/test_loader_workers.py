"""Real DataLoaders with worker processes: what a resumed epoch draws."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from spotwise.checkpoints import Every, Session, SessionSettings, Unit

SAMPLES, BATCH, EPOCHS = 8, 2, 3


class Numbers(Dataset[int]):
    """Its samples are their own numbers."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> int:
        return index


@pytest.fixture(autouse=True)
def _same_afterwards() -> Iterator[None]:
    handler, state = signal.getsignal(signal.SIGTERM), torch.get_rng_state()
    yield
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    torch.set_rng_state(state)


class Bar:
    """Shows how far it is, as tqdm does."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        yield from self.iterable


def train(folder: Path, wrap: Callable[[Any], Any], notice_after: int | None = None) -> list[list[int]]:
    random.seed(1)
    torch.manual_seed(1)
    loader = DataLoader(Numbers(), BATCH, shuffle=True, num_workers=1, persistent_workers=True)
    every = Every(10**6, Unit.EPOCHS)
    session = Session(SessionSettings(str(folder / "checkpoints"), str(folder / "progress.jsonl"), every), {})
    drawn: list[list[int]] = [[] for _ in range(EPOCHS)]
    steps = 0
    try:
        for epoch in session.epochs(EPOCHS):
            for batch in session.batches(wrap(loader)):
                drawn[epoch] += batch.tolist()
                steps += 1
                if steps == notice_after:
                    os.kill(os.getpid(), signal.SIGTERM)
                session.step()
            session.report()
    except SystemExit:
        pass
    return drawn


@pytest.mark.parametrize("wrap", [lambda loader: loader, Bar])
def test_workers_that_live_on_give_a_resumed_epoch_the_same_order_and_the_rest_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrap: Callable[[Any], Any]
) -> None:
    """They draw from the random state when they start: in a process' first epoch, and in no other."""
    undisturbed = train(tmp_path / "undisturbed", wrap)
    assert [sorted(epoch) for epoch in undisturbed] == [list(range(SAMPLES))] * EPOCHS
    first = train(tmp_path, wrap, notice_after=SAMPLES // BATCH + 1)
    second = train(tmp_path, wrap)
    assert [one + other for one, other in zip(first, second, strict=True)] == undisturbed
    assert caplog.text.count("random augmentation") == 3  # once a process
