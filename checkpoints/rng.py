"""States of random number generators, as values that a checkpoint can hold without pickling objects.

Covers the global generators of python, numpy and torch (CPU, and CUDA where it is in use), plus generators that a
program keeps itself: ``random.Random``, ``numpy.random.Generator``, ``torch.Generator``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

RngState = dict[str, Any]


def is_generator(part: object) -> bool:
    """Whether ``part`` is a random number generator whose state can be kept."""
    if isinstance(part, random.SystemRandom):
        return False
    return isinstance(part, random.Random) or _is_numpy_generator(part) or _is_torch_generator(part)


def is_rng_state(value: object) -> bool:
    """Whether ``value`` has the form of what ``capture_rng`` returns."""
    return isinstance(value, dict) and isinstance(value.get("python"), list) and isinstance(value.get("own"), dict)


def capture_rng(generators: Mapping[str, object]) -> RngState:
    """The state of every global generator in use and of ``generators``."""
    state: RngState = {"python": _python_state(random.getstate())}
    if (numpy := sys.modules.get("numpy")) is not None:
        state["numpy"] = _plain_arrays(numpy.random.get_state(legacy=False))
    if (torch := sys.modules.get("torch")) is not None:
        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():  # asking an unused device would claim memory on it
            state["cuda"] = torch.cuda.get_rng_state_all()
    state["own"] = own_states(generators)
    return state


def own_states(generators: Mapping[str, object]) -> RngState:
    """The state of each of ``generators`` alone, by name."""
    return {name: _own_state(generator) for name, generator in generators.items()}


def restore_rng(state: RngState, generators: Mapping[str, object]) -> None:
    """Put every generator back to where ``capture_rng`` has seen it."""
    random.setstate(_python_tuple(state["python"]))
    if "numpy" in state:
        import numpy

        numpy.random.set_state(_with_array(state["numpy"]))
    if "torch" in state:
        _restore_torch(state)
    restore_own_states(state["own"], generators)


def restore_own_states(states: RngState, generators: Mapping[str, object]) -> None:
    """Put back those of ``generators`` whose state is known."""
    for name, own in states.items():
        if name in generators:
            _set_own_state(generators[name], own)


def _restore_torch(state: RngState) -> None:
    import torch

    torch.set_rng_state(state["torch"])
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device, device_state in enumerate(state.get("cuda", [])[:devices]):
        torch.cuda.set_rng_state(device_state, device)


def _own_state(generator: object) -> Any:
    if isinstance(generator, random.Random):
        return _python_state(generator.getstate())
    if _is_numpy_generator(generator):
        return _plain_arrays(_attribute(generator, "bit_generator").state)
    return _attribute(generator, "get_state")()


def _set_own_state(generator: object, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(_python_tuple(state))
    elif _is_numpy_generator(generator):
        _attribute(generator, "bit_generator").state = _with_array(state)
    else:
        _attribute(generator, "set_state")(state)


def _is_numpy_generator(part: object) -> bool:
    return "numpy" in sys.modules and isinstance(part, sys.modules["numpy"].random.Generator)


def _is_torch_generator(part: object) -> bool:
    return "torch" in sys.modules and isinstance(part, sys.modules["torch"].Generator)


def _attribute(part: object, name: str) -> Any:
    return getattr(part, name)


def _python_state(state: tuple[Any, ...]) -> list[Any]:
    version, numbers, gauss = state
    return [version, list(numbers), gauss]


def _python_tuple(state: list[Any]) -> tuple[Any, ...]:
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def _plain_arrays(state: Any) -> Any:
    """numpy keeps Mersenne twister's key as an array, other generators' states as (large) integers."""
    if isinstance(state, dict):
        return {name: _plain_arrays(value) for name, value in state.items()}
    return state.tolist() if hasattr(state, "tolist") else state


def _with_array(state: Any) -> Any:
    import numpy

    inner = state["state"]
    if "key" not in inner:
        return state
    dtype = numpy.uint32 if state["bit_generator"] == "MT19937" else numpy.uint64
    return {**state, "state": {**inner, "key": numpy.array(inner["key"], dtype=dtype)}}
