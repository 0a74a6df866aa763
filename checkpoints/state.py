"""What a checkpoint holds: the state of everything that training changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from .errors import StateError
from .rng import RngState, capture_rng, is_generator, restore_rng
from .torch_parts import refuse_collective_state, refuse_scaler_of_elsewhere, under_own_names


@runtime_checkable
class Stateful(Protocol):
    """Anything whose state can be taken and put back: models, optimizers, schedules, scalers, a class of your own."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class TrainingState:
    """The objects handed to a session, by name, and the random number generators around them."""

    def __init__(self, parts: Mapping[str, object]) -> None:
        self._generators = {name: part for name, part in parts.items() if is_generator(part)}
        others = {name: part for name, part in parts.items() if name not in self._generators and part is not None}
        self._parts = {name: _as_stateful(name, part) for name, part in others.items()}

    def capture(self) -> dict[str, Any]:
        """The state of every part; it shares memory with them, so save it before training goes on."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    @property
    def parts(self) -> Mapping[str, object]:
        """The objects that have a state, by name."""
        return self._parts

    def capture_rng(self) -> RngState:
        return capture_rng(self._generators)

    def adopt(self, generators: Mapping[str, object]) -> dict[str, object]:
        """Keep these generators too from now on; returns those that were not kept before, under their names here."""
        kept = {id(generator) for generator in self._generators.values()}
        new = {name: generator for name, generator in generators.items() if id(generator) not in kept}
        self._generators.update(new)
        return new

    def restore(self, states: Mapping[str, Any], *, source: str) -> None:
        """Load ``states``, read from ``source``, into the parts. Raises ``StateError`` where they do not fit."""
        if states.keys() != self._parts.keys():
            raise StateError(_other_parts(source, set(states), set(self._parts)))
        for name, part in self._parts.items():
            refuse_scaler_of_elsewhere(name, part, states[name], source=source)
            try:
                part.load_state_dict(under_own_names(part, states[name]))
            except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as fault:
                raise StateError(
                    f"{source} does not fit {name!r}, which was probably made with other hyperparameters: {fault}\n"
                    "Restore them, or set SPOTWISE_CHECKPOINT_URL to another folder to start over."
                ) from fault

    def restore_rng(self, state: RngState) -> None:
        """Put all generators back. Raises ``StateError`` where a state is none of this program's generators."""
        try:
            restore_rng(state, self._generators)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError, ImportError) as fault:
            raise StateError(
                f"The checkpoint's states of random number generators do not fit this program: {fault}\n"
                "Hand Session the same generators, or set SPOTWISE_CHECKPOINT_URL to another folder to start over."
            ) from fault


def _as_stateful(name: str, part: object) -> Stateful:
    if not isinstance(part, Stateful):
        raise StateError(
            f"Session cannot keep {name!r}: {type(part).__name__} has no state_dict() and load_state_dict(). "
            "Give it both, or leave it out."
        )
    refuse_collective_state(name, part)
    return part


def _other_parts(source: str, found: set[str], expected: set[str]) -> str:
    return (
        f"{source} holds {', '.join(sorted(found)) or 'nothing'}, but Session was given "
        f"{', '.join(sorted(expected)) or 'nothing'}. Hand it the same objects, "
        "or set SPOTWISE_CHECKPOINT_URL to another folder to start over."
    )
