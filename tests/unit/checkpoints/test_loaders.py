"""An interrupted epoch gives each sample once, whoever keeps the place in it: the session, or the loader itself."""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from spotwise.checkpoints import EXIT_PREEMPTED, Every, Session, SessionError, SessionSettings, Unit, latest_checkpoint
from spotwise.checkpoints.loaders import generators_within

SAMPLES, BATCH, EPOCHS = 10, 2, 3
BATCHES = SAMPLES // BATCH
NEVER = Every(10**6, Unit.EPOCHS)

Make = Callable[[], Any]


class DiedError(Exception):
    """The machine is gone."""


@pytest.fixture(autouse=True)
def _same_afterwards() -> Iterator[None]:
    handler, states = signal.getsignal(signal.SIGTERM), (random.getstate(), torch.get_rng_state())
    yield
    signal.signal(signal.SIGTERM, handler)
    random.setstate(states[0])
    torch.set_rng_state(states[1])


def train(
    folder: Path,
    make: Make,
    *,
    keep: bool,
    every: Every = NEVER,
    notice_after: int | None = None,
    die_after: int | None = None,
    epochs: int = EPOCHS,
) -> list[list[Any]]:
    """One process: what each epoch has drawn. Its script reports what the loop over the batches has set."""
    random.seed(1)
    torch.manual_seed(1)
    loader = make()
    settings = SessionSettings(str(folder / "checkpoints"), str(folder / "progress.jsonl"), every)
    session = Session(settings, {"loader": loader} if keep else {})
    drawn: list[list[Any]] = [[] for _ in range(epochs)]
    steps = 0
    try:
        for epoch in session.epochs(epochs):
            for batch in session.batches(loader):
                loss = float(sum(batch[0]) if isinstance(batch, list) else batch.sum())
                drawn[epoch].append(batch.tolist() if isinstance(batch, torch.Tensor) else batch)
                steps += 1
                if steps == notice_after:
                    os.kill(os.getpid(), signal.SIGTERM)
                session.step()
                if steps == die_after:
                    raise DiedError
            session.report(loss=loss)
            del loss
    except SystemExit as left:
        assert left.code == EXIT_PREEMPTED
    except DiedError:
        pass
    return drawn


def joined(*parts: list[list[Any]]) -> list[list[Any]]:
    """What several processes have drawn, epoch for epoch."""
    return [list(chain.from_iterable(epochs)) for epochs in zip(*parts, strict=True)]


def samples(epoch: list[Any]) -> list[int]:
    return sorted(np.array(epoch).reshape(-1).round().astype(int).tolist())


class Numbers(Dataset[float]):
    """Its samples are numbers, with an augmentation that hardly shows."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.transform = {"rng": rng} if rng is None else Jitter(rng)

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> float:
        return index + (self.transform() if isinstance(self.transform, Jitter) else random.random() / 4)


class Jitter:
    def __init__(self, rng: random.Random) -> None:
        self.steps = [rng]

    def __call__(self) -> float:
        return self.steps[0].random() / 4


class Stream(IterableDataset[int]):
    """Does not know how long it is."""

    def __iter__(self) -> Iterator[int]:
        yield from random.sample(range(SAMPLES), SAMPLES)


class StatefulLoader:
    """Keeps its own place, as torchdata's StatefulDataLoader does; behind the last batch, until it is asked again."""

    def __init__(self) -> None:
        self.order: list[int] | None = None
        self.place = 0

    def __len__(self) -> int:
        return BATCHES

    def __iter__(self) -> Iterator[list[int]]:
        if self.order is None:
            self.order = random.sample(range(SAMPLES), SAMPLES)
        return self

    def __next__(self) -> list[int]:
        assert self.order is not None
        if self.place == SAMPLES:
            self.order, self.place = None, 0
            raise StopIteration
        self.place += BATCH
        return [self.order[self.place - BATCH : self.place]]

    def state_dict(self) -> dict[str, Any]:
        return {"order": list(self.order) if self.order else None, "place": self.place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order, self.place = state["order"], state["place"]


class StatefulGenerator(StatefulLoader):
    """Knows its place only; draws the order, from the global generator, when its first batch is asked for."""

    def __iter__(self) -> Iterator[list[int]]:
        order = random.sample(range(SAMPLES), SAMPLES)
        while self.place < SAMPLES:
            self.place += BATCH
            yield [order[self.place - BATCH : self.place]]
        self.place = 0


LOADERS: dict[str, tuple[Make, bool]] = {
    "shuffled": (lambda: DataLoader(Numbers(), BATCH, shuffle=True), False),
    "own generator": (
        lambda: DataLoader(Numbers(), BATCH, shuffle=True, generator=torch.Generator().manual_seed(3)),
        False,
    ),
    "sampler with a generator": (
        lambda: DataLoader(
            Numbers(),
            BATCH,
            sampler=torch.utils.data.WeightedRandomSampler(
                [1.0] * SAMPLES, SAMPLES, replacement=False, generator=torch.Generator().manual_seed(3)
            ),
        ),
        False,
    ),
    "augmentation with a generator": (lambda: DataLoader(Numbers(random.Random(3)), BATCH, shuffle=True), False),
    "stream": (lambda: DataLoader(Stream(), BATCH), False),
    "stateful": (StatefulLoader, True),
    "stateful generator": (StatefulGenerator, True),
}


@pytest.mark.parametrize("notice_after", [1, BATCHES - 1, BATCHES, BATCHES + 2, 2 * BATCHES])
@pytest.mark.parametrize("kind", LOADERS)
def test_a_notice_at_any_batch_leaves_each_epoch_whole_and_as_it_would_have_been(
    tmp_path: Path, kind: str, notice_after: int
) -> None:
    """Also at an epoch's last batch, where the script reports what its loop has set."""
    make, keep = LOADERS[kind]
    undisturbed = train(tmp_path / "undisturbed", make, keep=keep)
    assert [samples(epoch) for epoch in undisturbed] == [list(range(SAMPLES))] * EPOCHS
    first = train(tmp_path, make, keep=keep, notice_after=notice_after)
    assert sum(map(len, first)) == notice_after  # left at once
    assert joined(first, train(tmp_path, make, keep=keep)) == undisturbed


@pytest.mark.parametrize("kind", LOADERS)
def test_a_machine_lost_behind_the_last_batch_can_be_continued(tmp_path: Path, kind: str) -> None:
    """A checkpoint was due by steps at that very batch: there would be none left that sets the loss."""
    make, keep = LOADERS[kind]
    undisturbed = train(tmp_path / "undisturbed", make, keep=keep)
    every = Every(BATCHES, Unit.STEPS)
    train(tmp_path, make, keep=keep, every=every, die_after=2 * BATCHES + 1)  # in the epoch after
    newest = latest_checkpoint(str(tmp_path / "checkpoints"))
    assert newest.position.batch == 0
    second = train(tmp_path, make, keep=keep, every=every)
    assert second[2] == undisturbed[2]


def test_a_loader_of_known_length_is_not_saved_behind_its_last_batch(tmp_path: Path) -> None:
    make, _ = LOADERS["shuffled"]
    train(tmp_path, make, keep=False, every=Every(1, Unit.STEPS), die_after=BATCHES)
    assert latest_checkpoint(str(tmp_path / "checkpoints")).position.batch == BATCHES - 1


def test_a_checkpoint_behind_the_last_batch_of_an_earlier_version_says_that_none_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make, _ = LOADERS["stream"]  # of unknown length, it can still be made
    train(tmp_path, make, keep=False, every=Every(1, Unit.STEPS), die_after=BATCHES)
    with caplog.at_level(logging.WARNING), pytest.raises(UnboundLocalError):
        train(tmp_path, make, keep=False)
    assert "none is left" in caplog.text


def test_a_loader_that_keeps_its_own_place_must_be_handed_over(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"StatefulLoader.*from_env\(\.\.\., loader=loader\)"):
        train(tmp_path, StatefulLoader, keep=False)


@pytest.mark.parametrize(
    "wrap", [iter, enumerate, lambda loader: zip(loader, loader, strict=True), lambda loader: (b for b in loader)]
)
def test_a_wrapper_around_a_loader_that_keeps_its_own_place_is_refused(
    tmp_path: Path, wrap: Callable[[Any], Iterable[Any]]
) -> None:
    """The session would pass over what the loader has passed over already."""
    loader = StatefulLoader()
    session = Session(SessionSettings(str(tmp_path), str(tmp_path / "progress.jsonl")), {"loader": loader})
    for _ in session.epochs(1):
        wrapped = wrap(loader)
        if wrapped is loader:
            return  # its iterator is itself
        with pytest.raises(SessionError, match="'loader' itself"):
            next(iter(session.batches(wrapped)))
        break


def test_parts_that_are_no_loaders_go_with_any_loader(tmp_path: Path) -> None:
    """A model of layers can be iterated over, a history too."""

    class History(list[float]):
        def state_dict(self) -> dict[str, Any]:
            return {"values": list(self)}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self[:] = state["values"]

    parts = {"model": torch.nn.Sequential(torch.nn.Linear(1, 1)), "history": History([1.0])}
    session = Session(SessionSettings(str(tmp_path), str(tmp_path / "progress.jsonl")), parts)
    for _ in session.epochs(1):
        assert len(list(session.batches(range(BATCHES)))) == BATCHES


@pytest.mark.parametrize("bits", [np.random.SFC64, np.random.PCG64DXSM, np.random.Philox, np.random.MT19937])
def test_generators_of_numpy_within_the_data_are_continued(tmp_path: Path, bits: Any) -> None:
    class Noise:
        def __init__(self) -> None:
            self.rng = np.random.Generator(bits(5))

        def __iter__(self) -> Iterator[list[list[float]]]:
            return ([[float(self.rng.integers(100))]] for _ in range(BATCHES))

    undisturbed = train(tmp_path / "undisturbed", Noise, keep=False)
    first = train(tmp_path, Noise, keep=False, notice_after=BATCHES + 2)
    assert joined(first, train(tmp_path, Noise, keep=False)) == undisturbed


def test_generators_are_found_by_the_way_to_them_and_only_once() -> None:
    shared = torch.Generator()
    loader = DataLoader(Numbers(random.Random(1)), shuffle=True, generator=shared)
    found = generators_within(loader)
    assert sorted(found) == ["batches.dataset.transform.steps[0]", "batches.generator"]
    assert found["batches.generator"] is shared


@pytest.mark.parametrize(
    ("wrap", "found"),
    [
        (enumerate, True),
        (lambda loader: zip(loader, range(9), strict=False), True),
        (lambda loader: (batch for batch in loader), False),  # nobody can look into a generator's code
    ],
)
def test_generators_within_what_is_zipped_are_found(wrap: Callable[[Any], Any], found: bool) -> None:
    loader = DataLoader(Numbers(), shuffle=True, generator=torch.Generator())
    within = generators_within(wrap(loader)).values()
    assert any(generator is loader.generator for generator in within) is found


def test_the_generator_of_the_system_is_no_state_to_keep(tmp_path: Path) -> None:
    class Unpredictable:
        rng = None

        def __init__(self) -> None:
            self.rng = random.SystemRandom()

        def __iter__(self) -> Iterator[list[list[int]]]:
            return iter([[[1]]] * BATCHES)

    assert train(tmp_path, Unpredictable, keep=False) == [[[[1]]] * BATCHES] * EPOCHS
