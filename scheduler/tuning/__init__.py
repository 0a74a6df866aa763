"""Studies, the transfer-learned sampler, and the sweep host that runs trials with Ray Tune.

Importing this package, or reading studies with it, loads neither Ray nor Optuna: ``TransferSampler`` arrives when it is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .search.transfer_sampler import TransferSampler

__all__ = ["TransferSampler"]


def __getattr__(name: str) -> object:
    if name == "TransferSampler":
        from .search.transfer_sampler import TransferSampler

        return TransferSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
