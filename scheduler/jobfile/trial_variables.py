"""The variables by which a trial's script gets its hyperparameters: ``$HP_LR`` for ``lr``.

A shell puts nothing in the place of a variable that nobody sets: the trials of a sweep would all train the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .validation_errors import Fault, did_you_mean

_ALL_AT_ONCE = "SPOTWISE_HPARAMS"  # every value, as JSON
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_NAME = r"(?:hp|HP|Hp)_\w+"
# As a shell reads it, but for ${NAME:-default}, and as other languages read it: os.environ["NAME"].
_READ = re.compile(rf"""\$({_NAME})|\$\{{[#!]?({_NAME})(?![\w:=?+-])|["'](HP_\w+)["']""")
_SET = re.compile(rf"\b({_NAME})\+?=(?!=)|\b(?:for|read(?:\s+-\w+)*|local|declare(?:\s+-\w+)*)\s+({_NAME})")


def trial_variable(parameter: str) -> str:
    """The variable that holds a trial's value of this parameter."""
    return f"HP_{parameter.upper()}"


def unset_variables(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Variables that a sweep's ``run`` reads and no trial has: of another parameter, or in other letters."""
    names, script = [trial_variable(name) for name in _space(data)], data.get("run")
    if not names or not isinstance(script, str):
        return
    known = {*names, *_matches(_SET, script)}
    for key in ("envs", "secrets"):
        known |= set(given) if isinstance(given := data.get(key), dict) else set()
    for name in _read_in(script):
        if name not in known:
            nearest = did_you_mean(name, names).replace("mean ", "mean $")
            yield Fault(("run",), f"found ${name}, which no trial has; allowed: ${', $'.join(names)}{nearest}")


def unread_parameters(script: str, parameters: Iterable[str]) -> list[str]:
    """One note for each parameter that a sweep's script never names. A program may read its variable by itself."""
    if _ALL_AT_ONCE in script:
        return []
    return [
        f"sweep.space.{name}: run never names ${trial_variable(name)}: its values have an effect only if the program "
        "itself reads that variable"
        for name in parameters
        if not re.search(rf"\b{trial_variable(name)}\b", _COMMENT.sub("", script))
    ]


def _read_in(script: str) -> list[str]:
    return _matches(_READ, _COMMENT.sub("", script))


def _matches(pattern: re.Pattern[str], script: str) -> list[str]:
    return list(dict.fromkeys(name for found in pattern.finditer(script) for name in found.groups() if name))


def _space(data: Mapping[str, Any]) -> list[str]:
    sweep = data.get("sweep")
    space = sweep.get("space") if isinstance(sweep, dict) else None
    return list(space) if isinstance(space, dict) else []
