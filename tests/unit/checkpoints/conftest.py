"""A training small enough to be run hundreds of times: one number, shuffled batches, noise."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from spotwise.checkpoints import Session, SessionSettings, Storage

BATCHES = 5


class Walk:
    """A model of one number."""

    def __init__(self) -> None:
        self.value = 1.0

    def train(self, batch: int) -> None:
        self.value = 0.9 * self.value + batch * random.random()

    def state_dict(self) -> dict[str, float]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.value = state["value"]


class Shuffled:
    """A loader that draws a new order each epoch."""

    def __iter__(self) -> Iterator[int]:
        return iter(random.sample(range(BATCHES), BATCHES))


class Training:
    """One process's life in a folder; several in a row make an interrupted training."""

    def __init__(self, folder: Path, storage: Storage | None = None, **settings: object) -> None:
        random.seed(7)
        self.settings = SessionSettings(
            checkpoint_url=str(folder / "checkpoints"), progress_url=str(folder / "progress.jsonl"), **settings
        )
        self.walk = Walk()
        self.session = Session(self.settings, {"walk": self.walk}, storage=storage)
        self.losses: list[float] = []  # after each epoch
        self.steps = 0  # of this process

    def run(
        self,
        epochs: int,
        *,
        notice_after: int | None = None,
        die_after: int | None = None,
        batches: bool = True,
        loaders: Sequence[Iterable[int]] = (Shuffled(),) * 100,
    ) -> None:
        """Train; SIGTERM arrives within, or death before the end of, a step of this process."""
        for epoch in self.session.epochs(epochs):
            for batch in self.session.batches(loaders[epoch]) if batches else loaders[epoch]:
                self.walk.train(batch)
                self.steps += 1
                if self.steps == notice_after:
                    os.kill(os.getpid(), signal.SIGTERM)
                if self.steps == die_after:
                    raise MemoryError
                self.session.step(samples=1)
            self.losses.append(self.walk.value)
            self.session.report(loss=self.walk.value)


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Callable[..., Training]]:
    """Makes trainings in one folder, and gives SIGTERM and the random state back afterwards."""
    handler, state = signal.getsignal(signal.SIGTERM), random.getstate()
    yield lambda folder=tmp_path, **settings: Training(folder, **settings)
    signal.signal(signal.SIGTERM, handler)
    random.setstate(state)
