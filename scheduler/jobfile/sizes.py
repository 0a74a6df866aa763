"""How large a job's texts may be: what does not fit into an environment would fail on the machine only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .validation_errors import Fault
from .validation_errors import Path as KeyPath

# Linux: NAME=VALUE and the zero behind it take at most 128 KiB, and all together a quarter of a stack of 8 MiB, of
# which the machine's own variables and the arguments need some.
LARGEST_VARIABLE = 131_072
LARGEST_ENVIRONMENT = 1_000_000


def size_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Variables that no program could be started with. Scripts go through files and have no limit but the file's."""
    total = 0
    for path, name, value in _variables(data):
        size = len(f"{name}={value}".encode(errors="replace")) + 1
        total += size
        if size > LARGEST_VARIABLE:
            allowed = f"allowed: at most {LARGEST_VARIABLE:,}; put it into a file below workdir or file_mounts"
            yield Fault(path, f"found a variable of {size:,} bytes; {allowed}")
    if total > LARGEST_ENVIRONMENT:
        allowed = f"allowed: at most {LARGEST_ENVIRONMENT:,}; put them into a file below workdir or file_mounts"
        yield Fault(("envs",), f"found variables of {total:,} bytes in all; {allowed}")


def _variables(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    for key in ("envs", "secrets"):
        given = data.get(key)
        for name, value in given.items() if isinstance(given, dict) else ():
            yield (key, name), name, "" if value is None else str(value)
    sweep = data.get("sweep")
    space = sweep.get("space") if isinstance(sweep, dict) else None
    for name, parameter in space.items() if isinstance(space, dict) else ():
        choices = parameter.get("choices") if isinstance(parameter, dict) else None
        largest = max(map(str, choices), key=len, default="") if isinstance(choices, list) else ""
        yield ("sweep", "space", name, "choices"), f"HP_{name}", largest
