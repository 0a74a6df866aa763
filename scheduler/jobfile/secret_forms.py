"""Secrets that SkyPilot's server keeps, in each way in which a task can name them.

``secrets: [secrets:TOKEN]``, ``secrets: {secrets:TOKEN: }`` and ``managed_secrets: [TOKEN]`` mean the same. spotwise
passes them on in the last way; it never sees their values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .quantities import shown
from .validation_errors import Fault

_PREFIX = "secrets:"


def managed_names(secrets: object) -> list[str]:
    """The names of SkyPilot's own among ``secrets``, without the prefix."""
    listed = list(secrets) if isinstance(secrets, list | dict) else []
    return [name.removeprefix(_PREFIX) for name in listed if isinstance(name, str) and name.startswith(_PREFIX)]


def own_secrets(secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``secrets`` that have a value here, or in the submitter's environment."""
    return {name: value for name, value in secrets.items() if not name.startswith(_PREFIX)}


def secret_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Names in a list without the prefix, and values of what SkyPilot's server keeps."""
    secrets = data.get("secrets")
    for place, name in enumerate(secrets if isinstance(secrets, list) else ()):
        if not isinstance(name, str) or not name.startswith(_PREFIX):
            allowed = f"allowed: {_PREFIX}NAME, which SkyPilot's server keeps, or a mapping of names to values"
            nearest = f"; did you mean {_PREFIX}{name}" if isinstance(name, str) else ""
            yield Fault(("secrets", f"[{place}]"), f"found {shown(name)}; {allowed}{nearest}")
    for name, value in secrets.items() if isinstance(secrets, dict) else ():
        if name.startswith(_PREFIX) and value is not None:
            yield Fault(("secrets", name), "found a value; allowed: none, since SkyPilot's server keeps it")
