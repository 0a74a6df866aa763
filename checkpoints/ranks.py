"""The ranks of a distributed training decide together: one that left alone would keep the others waiting for ever."""

from __future__ import annotations

import sys
from typing import Any


class Ranks:
    """All processes of one ``torch.distributed`` training; without one, this process alone."""

    def __init__(self) -> None:
        self._group: Any = None  # on the CPU: asking must not wait for a GPU that computes

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank. Every rank must ask, at the same point of its training."""
        distributed = _distributed()
        if distributed is None:
            return flag
        torch = sys.modules["torch"]
        if self._group is None:
            self._group = distributed.new_group(backend="gloo")
        flags = torch.tensor([int(flag)])
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX, group=self._group)
        return bool(flags.item())

    def wait_for_all(self) -> None:
        """Until every rank is here."""
        self.any(False)


def _distributed() -> Any:
    """``torch.distributed`` where it is in use. It is never imported for this."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed if distributed.get_world_size() > 1 else None
