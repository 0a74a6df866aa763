"""What keeps a loader's place: the session, which draws again and drops what was done, or the loader, by its own state.

Both at once would pass over samples that nobody has trained on, and neither would train on some twice. So a loader with
a state of its own is one of the session's parts, and is what ``session.batches()`` is given.
"""

from __future__ import annotations

import gc
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Generic, TypeVar

from .errors import SessionError
from .rng import is_generator
from .state import Stateful

Batch = TypeVar("Batch")

_DEPTH = 5  # attributes from a loader down to a generator: loader.dataset.transform.transforms[0].rng
_WIDTH = 64  # attributes or items of one object that are looked at
_OBJECTS = 2000  # looked at in all, once an epoch

_WRAPPERS = (enumerate, zip, map, filter, chain, islice)

_log = logging.getLogger(__name__)


def keeps_own_place(loader: object, parts: Mapping[str, object]) -> bool:
    """Whether ``loader`` continues by the state that it was given as one of the session's ``parts``.

    Raises:
        SessionError: it has a state that the session does not keep, or another part keeps the place of what is within.
    """
    if any(part is loader for part in parts.values()):
        return True
    if isinstance(loader, Stateful) and not _is_module(loader):
        raise SessionError(
            f"session.batches() is given a {type(loader).__name__}, which keeps its own place by state_dict(), but the "
            "session does not have it: some samples would be trained on twice, others never. Hand it over as well: "
            "Session.from_env(..., loader=loader)."
        )
    for name, part in parts.items():
        if _is_loader(part):
            raise SessionError(
                f"The part {name!r}, a {type(part).__name__}, keeps its own place by state_dict(), but "
                f"session.batches() is given a {type(loader).__name__}: after an interruption both would pass over "
                f"what was done. Give session.batches() {name!r} itself and wrap what it yields, or leave {name!r} out "
                "of the session."
            )
    return False


def length_of(loader: object) -> int | None:
    """Batches of one epoch; None where the loader cannot tell."""
    try:
        return len(loader)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        return None


def has_workers(loader: object) -> bool:
    """Whether it is a DataLoader with worker processes."""
    return bool(getattr(loader, "num_workers", 0))


def warn_of_random_workers(*, keeps_place: bool) -> None:
    """Said once for each loader whose workers have random states that nobody can put back."""
    remedy = "With num_workers=0" if keeps_place else "With persistent_workers=False"
    _log.warning(
        "After an interruption the order of this loader's batches is restored, but not what its workers draw "
        "themselves, such as random augmentation. %s that is, too.",
        remedy,
    )


def generators_within(loader: object) -> dict[str, object]:
    """The random number generators that a loader, its samplers and its data hold, by the path to each of them."""
    return {path: value for path, value in _within(loader) if is_generator(value)}


def lasting_workers_within(loader: object) -> list[Iterable[object]]:
    """The DataLoaders whose worker processes live on from one epoch to the next: ``loader``, or what it wraps."""
    return [
        value
        for _, value in _within(loader)
        if has_workers(value) and getattr(value, "persistent_workers", False) and isinstance(value, Iterable)
    ]


def _within(loader: object) -> Iterator[tuple[str, object]]:
    """A loader and what it holds, with the path to each, the nearest first; each once, within bounds."""
    seen: set[int] = set()
    level = [("batches", loader)]
    for _ in range(_DEPTH + 1):
        below: list[tuple[str, object]] = []
        for path, value in level:
            if id(value) in seen or len(seen) > _OBJECTS:
                continue
            seen.add(id(value))
            yield path, value
            if not is_generator(value):
                below += _inside(path, value)
        level = below


def _inside(path: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, list | tuple):
        return [(f"{path}[{index}]", item) for index, item in enumerate(value[:_WIDTH])]
    if isinstance(value, _WRAPPERS):  # they have no attributes: the garbage collector knows what they hold
        return [(f"{path}[{index}]", item) for index, item in enumerate(gc.get_referents(value)[:_WIDTH])]
    if (
        isinstance(value, type | str | bytes)
        or inspect.ismodule(value)
        or inspect.isroutine(value)
        or _is_module(value)
    ):
        return []
    attributes = getattr(value, "__dict__", None)
    if not isinstance(attributes, dict):
        return []
    named = [(name, item) for name, item in attributes.items() if isinstance(name, str)]
    return [(f"{path}.{name}", item) for name, item in named[:_WIDTH]]


def _is_loader(part: object) -> bool:
    """Whether it gives out samples one after the other, and knows where it is: a loader, a sampler, a stream of data.

    What can be indexed, such as a history of results, is none; torch's streams inherit that without being able to.
    """
    if not isinstance(part, Stateful) or not isinstance(part, Iterable) or _is_module(part):
        return False
    torch = sys.modules.get("torch")
    is_stream = torch is not None and isinstance(part, torch.utils.data.IterableDataset)
    return is_stream or not hasattr(part, "__getitem__")


def _is_module(part: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(part, torch.nn.Module)


class EpochBatches(Generic[Batch]):
    """The batches of one epoch. Draws one ahead only where somebody must know whether there are more."""

    def __init__(self, loader: Iterable[Batch]) -> None:
        self._length = length_of(loader)
        self._batches = iter(loader)
        self._ahead: list[Batch] = []

    @property
    def draws_late(self) -> bool:
        """Whether the order is only drawn with the first batch: nothing of a generator's code has run yet."""
        return inspect.isgenerator(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return self._ahead.pop() if self._ahead else next(self._batches)

    @property
    def cannot_tell(self) -> bool:
        """Whether the loader has not told how many batches it has."""
        return self._length is None

    def is_over(self, taken: int) -> bool:
        """Whether ``taken`` batches are known to be all of the epoch."""
        return self._length is not None and taken >= self._length

    def has_none_left(self) -> bool:
        """Whether there are no more, found by drawing: the loader's state and the random states may then be others."""
        try:
            self._ahead = self._ahead or [next(self._batches)]
        except StopIteration:
            return True
        except RuntimeError:  # its workers were ended by the notice: there was more to draw
            return False
        return False
