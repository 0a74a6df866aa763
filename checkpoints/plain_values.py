"""Which values a state may hold, so that what is read back is what was saved, of the same types, and no code is run.

Types are compared exactly. Of a class derived from a plain one torch would have to run the code, and JSON would make
the plain one of it without a word.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from .errors import StateError

_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (defaultdict, "Let state_dict() return dict(...) of it, and load_state_dict() make a defaultdict again."),
    (dict, "Let state_dict() return dict(...) of it, and load_state_dict() make this type again."),
    (frozenset, "Let state_dict() return sorted(...) of it, and load_state_dict() make this type again."),
    (deque, "Let state_dict() return list(...) of it, and load_state_dict() make a deque again."),
    ((list, tuple, set), "Let state_dict() return list(...) of it, and load_state_dict() make this type again."),
    (PurePath, "Let state_dict() return str(...) of it."),
)
SHARDED_ADVICE = (
    "Session keeps whole states, which rank 0 writes: a model that is sharded over the ranks (FSDP, tensor parallel) "
    "has none. Use DistributedDataParallel where the model fits one device; else save with "
    "torch.distributed.checkpoint under SPOTWISE_CHECKPOINT_URL, and report progress, as docs/files.md describes."
)


@dataclass(frozen=True, slots=True)
class _Format:
    """What one kind of state file brings back as it was."""

    mappings: tuple[type, ...]
    sequences: tuple[type, ...]
    is_leaf: Callable[[Any], bool]
    is_key: Callable[[Any], bool]
    holds: str  # for people


def plain_for_torch(value: Any) -> Any:
    """``value`` with numpy's scalars turned into numbers, for ``torch.save``; it shares all else with ``value``.

    Raises ``StateError``, naming the place, for what torch's safe loader would refuse or change.
    """
    return _checked(value, _TORCH)


def plain_for_json(value: Any) -> Any:
    """The same for JSON, which has no tuples, sets, bytes and arrays, and no keys but texts."""
    return _checked(value, _JSON)


def is_array(value: Any) -> bool:
    """Arrays and scalars of numpy that hold numbers."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        return False
    return value.dtype.char in numpy.typecodes["AllInteger"] + numpy.typecodes["AllFloat"] + "?"


def _checked(value: Any, form: _Format) -> Any:
    try:
        return _plain(value, "", form)
    except RecursionError as fault:
        raise StateError("A state contains itself, or is nested too deeply to be saved.") from fault


def _plain(value: Any, where: str, form: _Format) -> Any:
    if type(value) in form.mappings:
        _refuse_keys(value, where, form)
        inner = {key: _plain(item, f"{where}.{key}".lstrip("."), form) for key, item in value.items()}
        return value if all(inner[key] is item for key, item in value.items()) else type(value)(inner)
    if type(value) in form.sequences:
        items = [_plain(item, f"{where}[{index}]", form) for index, item in enumerate(value)]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)
    if is_array(value) and value.ndim == 0:
        value = value.item()
    if not form.is_leaf(value):
        raise StateError(_refusal(where, value, form))
    return value


def _refuse_keys(values: Mapping[Any, Any], where: str, form: _Format) -> None:
    for key in values:
        if not form.is_key(key):
            raise StateError(_refusal(f"{where}.{key}".lstrip("."), key, form, "key of the state"))


def _is_torch_leaf(value: Any) -> bool:
    torch = sys.modules["torch"]
    plain = (type(None), str, bytes, bytearray, bool, int, float, complex)
    tensors = (torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device)
    return type(value) in (*plain, *tensors) or (is_array(value) and type(value) is sys.modules["numpy"].ndarray)


def _is_torch_key(key: Any) -> bool:
    return all(_is_torch_leaf(part) for part in (key if type(key) is tuple else (key,)))


def _is_json_leaf(value: Any) -> bool:
    return type(value) in (type(None), str, bool, int, float)


_TORCH = _Format(
    (dict, OrderedDict, Counter),
    (list, tuple, set),
    _is_torch_leaf,
    _is_torch_key,
    "tensors, numbers, texts, lists, tuples, sets, dicts and Counters",
)
_JSON = _Format(
    (dict,), (list,), _is_json_leaf, lambda key: type(key) is str, "numbers, texts, lists, and dicts with texts as keys"
)


def _refusal(where: str, value: object, form: _Format, what: str = "state of") -> str:
    found = type(value)
    loader = "torch's safe loader" if form is _TORCH else "JSON, which holds states where torch is not in use,"
    return (
        f"The {what} {where!r} is a {found.__module__}.{found.__qualname__}, which {loader} cannot read back safely. "
        f"{_advice(value, form)}"
    )


def _advice(value: object, form: _Format) -> str:
    if _is_sharded(value):
        return SHARDED_ADVICE
    special = next((advice for kind, advice in _ADVICE if isinstance(value, kind)), None)
    return special or f"Let state_dict() return {form.holds}."


def _is_sharded(value: object) -> bool:
    """Tensors of which this rank has a part; looked up only where a program has loaded them."""
    kinds = (
        ("torch.distributed.tensor", "DTensor"),
        ("torch.distributed._tensor", "DTensor"),  # before torch 2.5
        ("torch.distributed._shard.sharded_tensor", "ShardedTensor"),
    )
    loaded = [getattr(sys.modules.get(module), name, None) for module, name in kinds]
    return any(kind is not None and isinstance(value, kind) for kind in loaded)
