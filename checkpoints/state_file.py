"""The data file of a checkpoint: ``state*.pt`` where torch is in use, ``state*.json`` where it is not.

Reading one never runs code from it: JSON cannot, and torch reads with ``weights_only``. What that would refuse on
reading is refused on writing, while training can still tell.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, Protocol, cast

from .errors import StateError
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
        return _torch_writer(dict(_plain(state, "")))
    return _json_writer(state)


def read_state(name: str, stream: BinaryIO, *, source: str) -> dict[str, Any]:
    """The state in an intact file called ``name``. Raises ``StateError`` where this program cannot read it."""
    try:
        return _read_torch(stream) if name.endswith(".pt") else dict(json.load(stream))
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, EOFError) as fault:
        raise StateError(f"{source} is intact, but cannot be read here: {fault}") from fault


def _json_writer(state: Mapping[str, Any]) -> Callable[[Sink], None]:
    _refuse_other_keys(state, "")
    try:
        text = json.dumps(state).encode()
    except (TypeError, ValueError) as fault:
        raise StateError(f"Without torch a state must be what JSON can hold: {fault}") from fault

    def write(sink: Sink) -> None:
        sink.write(text)

    return write


def _refuse_other_keys(value: object, where: str) -> None:
    """JSON would turn other keys into texts without a word."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise StateError(f"Without torch the keys of a state must be texts; {where or 'it'} has {key!r}.")
            _refuse_other_keys(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_other_keys(inner, f"{where}[{index}]")


def _torch_writer(state: dict[str, Any]) -> Callable[[Sink], None]:
    import torch

    return lambda sink: torch.save(state, cast("IO[bytes]", sink))  # it needs write() and flush() only


def _read_torch(stream: BinaryIO) -> dict[str, Any]:
    import torch

    with torch.serialization.safe_globals(_numpy_globals()):
        state = torch.load(stream, map_location="cpu", weights_only=True)
    return dict(state)


def _numpy_globals() -> list[Any]:
    """What arrays of numbers are pickled as. Arrays of objects stay out: those could hold anything."""
    if "numpy" not in sys.modules:
        return []
    numpy = sys.modules["numpy"]
    codes = numpy.typecodes["AllInteger"] + numpy.typecodes["AllFloat"] + "?"
    return [numpy.zeros(0).__reduce__()[0], numpy.ndarray, numpy.dtype, *{type(numpy.dtype(code)) for code in codes}]


def _plain(value: Any, where: str) -> Any:
    """``value`` with numpy's scalars turned into numbers; everything else is kept as it is or refused."""
    if isinstance(value, dict):
        _refuse_unreadable_keys(value, where)
        inner = {key: _plain(item, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
        same = type(value) in (dict, OrderedDict) and all(inner[key] is item for key, item in value.items())
        return value if same else inner
    if type(value) in (list, tuple):
        items = [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)
    if _is_array(value) and value.ndim == 0:
        value = value.item()
    if not _is_readable(value):
        raise StateError(_refusal(where, type(value)))
    return value


def _refuse_unreadable_keys(values: Mapping[Any, Any], where: str) -> None:
    for key in values:
        if not all(_is_readable(part) for part in (key if type(key) is tuple else (key,))):
            raise StateError(_refusal(f"{where}.{key}".lstrip("."), type(key), "key of the state"))


def _is_readable(value: object) -> bool:
    """Types are compared exactly: of a class derived from one of them torch would have to run the code."""
    torch = sys.modules["torch"]
    plain = (type(None), str, bytes, bool, int, float, complex)
    tensors = (torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device)
    return type(value) in (*plain, *tensors) or (_is_array(value) and type(value) is sys.modules["numpy"].ndarray)


def _is_array(value: Any) -> bool:
    """Arrays and scalars of numpy that hold numbers."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        return False
    return value.dtype.char in numpy.typecodes["AllInteger"] + numpy.typecodes["AllFloat"] + "?"


def _refusal(where: str, found: type, what: str = "state of") -> str:
    return (
        f"The {what} {where!r} is a {found.__module__}.{found.__qualname__}, which cannot be read back safely. "
        "Let state_dict() return tensors, numbers, texts, lists and dicts."
    )
