"""What parts made by torch need beyond ``load_state_dict``: names that a wrapper has changed, scalers of other devices.

torch is looked at only where a program has loaded it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from .errors import StateError
from .plain_values import SHARDED_ADVICE

_COMPILED = "_orig_mod."  # torch.compile(module) puts it before the names of what it has wrapped
_PARALLEL = "module."  # DistributedDataParallel and DataParallel do the same

_log = logging.getLogger(__name__)


def under_own_names(part: object, state: Any) -> Any:
    """A module's state under the names that ``part`` uses, be either compiled or wrapped for several devices, or not.

    Where the names differ by more than that, ``state`` is returned as it is, for ``load_state_dict`` to explain.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(part, torch.nn.Module) or not isinstance(state, Mapping):
        return state
    own = _by_plain_name(part.state_dict())
    saved = _by_plain_name(state)
    if own is None or saved is None or own.keys() != saved.keys():
        return state
    return {own[name]: state[key] for name, key in saved.items()}


def _by_plain_name(state: Mapping[Any, Any]) -> dict[str, str] | None:
    """The state's keys by their names without wrappers; None where these would not tell them apart."""
    if not all(isinstance(key, str) for key in state):
        return None
    plain = {key: key.replace(_COMPILED, "") for key in state}
    while plain and all(name.startswith(_PARALLEL) for name in plain.values()):
        plain = {key: name.removeprefix(_PARALLEL) for key, name in plain.items()}
    by_name = {name: key for key, name in plain.items()}
    return by_name if len(by_name) == len(plain) else None


def refuse_scaler_of_elsewhere(name: str, part: object, state: Any, *, source: str) -> None:
    """Raise ``StateError`` for a gradient scaler that scales where the saved one was off.

    The other way round training goes on, and a warning says what is lost: a scaler that is off ignores any state.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(part, torch.amp.GradScaler) or not isinstance(state, Mapping):
        return
    if part.is_enabled() and not state:
        raise StateError(
            f"{source} was saved where the gradient scaler {name!r} was off: on a machine without its device, or with "
            "enabled=False. Here it is on, so training would not go on as before. Continue on a device of the same "
            "kind, make the scaler with enabled=False, or set SPOTWISE_CHECKPOINT_URL to another folder to start over."
        )
    if state and not part.is_enabled():
        _log.warning(
            "%s holds the scale of the gradient scaler %r, which is off here, on another device or by enabled=False: "
            "checkpoints saved from now on have none, and cannot be continued where it is on.",
            source,
            name,
        )


def refuse_collective_state(name: str, part: object) -> None:
    """Raise ``StateError`` for FSDP's wrapper: all ranks must ask it for its state at once, and only rank 0 saves."""
    fsdp = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", None)
    if fsdp is None or not isinstance(part, sys.modules["torch"].nn.Module):
        return
    if any(isinstance(module, fsdp) for module in part.modules()):
        raise StateError(f"Session cannot keep {name!r}: {SHARDED_ADVICE}")
