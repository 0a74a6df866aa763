"""The data file of a checkpoint: ``state*.pt`` where torch is in use, ``state*.json`` where it is not.

Reading one never runs code from it: JSON cannot, and torch reads with ``weights_only``. What that would refuse on
reading is refused on writing, while training can still tell.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, Protocol, cast

from .errors import StateError
from .plain_values import plain_for_json, plain_for_torch
from .schedule import TrainingPosition


class Sink(Protocol):
    """Where a state is written to."""

    def write(self, data: bytes | memoryview, /) -> int: ...

    def flush(self) -> None: ...


def state_file_name(position: TrainingPosition) -> str:
    """Positions that share a step have different file names, so that saving one never overwrites the other."""
    suffix = "pt" if "torch" in sys.modules else "json"
    return f"state-batch-{position.batch}.{suffix}" if position.batch else f"state.{suffix}"


def state_writer(name: str, state: Mapping[str, Any]) -> Callable[[Sink], None]:
    """What writes ``state`` to the file ``name``. Raises ``StateError`` at once for what could not be read back."""
    if name.endswith(".pt"):
        return _torch_writer(plain_for_torch(dict(state)))
    return _json_writer(plain_for_json(dict(state)))


def read_state(name: str, stream: BinaryIO, *, source: str) -> dict[str, Any]:
    """The state in an intact file called ``name``. Raises ``StateError`` where this program cannot read it."""
    try:
        return _read_torch(stream) if name.endswith(".pt") else dict(json.load(stream))
    except (
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        TypeError,
        EOFError,
        LookupError,
        AttributeError,
    ) as fault:
        raise StateError(f"{source} is intact, but cannot be read here: {fault}") from fault
    except ImportError as fault:
        raise StateError(f"{source} was written where torch was in use, which is missing here: {fault}") from fault


def _json_writer(state: dict[str, Any]) -> Callable[[Sink], None]:
    text = json.dumps(state).encode()

    def write(sink: Sink) -> None:
        sink.write(text)

    return write


def _torch_writer(state: dict[str, Any]) -> Callable[[Sink], None]:
    import torch

    return lambda sink: torch.save(state, cast("IO[bytes]", sink))  # it needs write() and flush() only


def _read_torch(stream: BinaryIO) -> dict[str, Any]:
    import torch

    with torch.serialization.safe_globals([Counter, set, bytearray, *_numpy_globals()]):
        state = torch.load(stream, map_location="cpu", weights_only=True)
    return dict(state)


def _numpy_globals() -> list[Any]:
    """What arrays of numbers are pickled as. Arrays of objects stay out: those could hold anything."""
    if "numpy" not in sys.modules:
        return []
    numpy = sys.modules["numpy"]
    codes = numpy.typecodes["AllInteger"] + numpy.typecodes["AllFloat"] + "?"
    return [numpy.zeros(0).__reduce__()[0], numpy.ndarray, numpy.dtype, *{type(numpy.dtype(code)) for code in codes}]
