"""What a job's ``accelerators`` ask for, in each way in which SkyPilot lets one write it. Pure.

By name: ``T4``, ``T4:2``, ``{T4: 2}``. By memory: ``80GB+`` (at least), ``24GB:2``, ``nvidia:80GB+:8``. Several: a
list, or a set in braces, which YAML reads as a mapping to nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .accelerators import MAKERS, maker, nominal_memory_gb
from .errors import CostModelError
from .offer import Offer

_ALLOWED = "allowed: a name with a number above 0, such as T4, T4:2 or {T4: 2}, or a memory such as 80GB+ or 24GB:2"
_MEMORY = re.compile(r"(\d+)([mgt])b(\+?)", re.IGNORECASE)
_IN_GB = {"m": 1 / 1024, "g": 1.0, "t": 1024.0}


@dataclass(frozen=True, slots=True)
class WantedAccelerator:
    """One of the accelerators that will do, and how many a node has of it."""

    count: float
    name: str = ""  # upper-cased; "": any with this memory
    memory_gb: float = 0.0  # as it is sold
    or_more: bool = False
    maker: str = ""  # "": any

    def is_met_by(self, offer: Offer) -> bool:
        """Whether a node of this offer has it."""
        if offer.accelerator is None or offer.accelerator_count != self.count:
            return False
        if self.name:
            return offer.accelerator.upper() == self.name
        has = nominal_memory_gb(offer.accelerator)
        if has is None or self.maker not in ("", maker(offer.accelerator)):
            return False
        return has == self.memory_gb or (self.or_more and has > self.memory_gb)

    def __str__(self) -> str:
        memory = f"{self.memory_gb:g}GB{'+' if self.or_more else ''}"
        what = self.name or ":".join(part for part in (self.maker, memory) if part)
        return f"{what}:{self.count:g}"


def wanted_accelerators(accelerators: object) -> Iterator[WantedAccelerator]:
    """Each of the accelerators that will do.

    Raises:
        CostModelError: a value that means nothing, such as ``T4:0``.
    """
    if isinstance(accelerators, Mapping):
        for name, count in accelerators.items():
            if count is None:
                yield from wanted_accelerators(str(name))
            elif _names_a_count(str(name)):
                raise _refused(accelerators)
            else:
                yield _wanted(accelerators, [*str(name).split(":"), count])
    elif isinstance(accelerators, str):
        yield _wanted(accelerators, accelerators.split(":"))
    elif isinstance(accelerators, (Sequence, frozenset, set)):
        for one in accelerators:
            yield from wanted_accelerators(one)
    else:
        raise _refused(accelerators)


def _names_a_count(text: str) -> bool:
    """Whether a mapping's key has a number already: with a memory, the maker may stand before a colon as well."""
    return ":" in text and not _MEMORY.fullmatch(text.rpartition(":")[2].strip())


def _wanted(accelerators: object, parts: Sequence[Any]) -> WantedAccelerator:
    fields = [part.strip() if isinstance(part, str) else part for part in parts]
    of = fields.pop(0) if len(fields) > 1 and str(fields[0]).lower() in MAKERS else ""
    what, count = str(fields[0]), fields[1] if len(fields) > 1 else 1
    memory = _MEMORY.fullmatch(what)
    if len(fields) > 2 or not what or (of and memory is None):
        raise _refused(accelerators)
    number = _count(accelerators, count)
    if memory is None:
        return WantedAccelerator(number, name=what.upper())
    gigabytes = float(memory[1]) * _IN_GB[memory[2].lower()]
    return WantedAccelerator(number, memory_gb=gigabytes, or_more=bool(memory[3]), maker=str(of).lower())


def _count(accelerators: object, count: Any) -> float:
    try:
        number = float(count)
    except (TypeError, ValueError, OverflowError):
        number = 0.0
    if not 0 < number < math.inf or isinstance(count, bool):
        raise _refused(accelerators)
    return number


def _refused(accelerators: object) -> CostModelError:
    return CostModelError(f"resources.accelerators: found {accelerators!r}; {_ALLOWED}")
