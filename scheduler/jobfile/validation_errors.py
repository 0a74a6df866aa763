"""Faults of a YAML file, one readable line each: ``file:line: dotted.path: what was found; what is allowed``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .nearest_forms import meant_key, meant_mapping, meant_type, meant_word
from .quantities import shown

Path = tuple[str, ...]  # ("sweep", "space", "lr"); places in a list count as "[0]"

_ALLOWED_TYPE = {
    "bool": "true or false",
    "dict": "a mapping of keys to values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping of keys to values",
    "string": "text",
    "tuple": "a list",
}
_ALLOWED_RANGE = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:,.15g} or less",
    "string_too_short": "text that is not empty",
    "too_short": "{min_length} or more entries",
}
_KEYS_WORTH_LISTING = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file."""

    path: Path  # () for the file as a whole
    message: str  # "found ...; allowed: ...; did you mean ..."
    line: int = 0  # 0: looked up by path

    def text(self, source: str, lines: Mapping[Path, int]) -> str:
        line = self.line or line_of(self.path, lines)
        where = [f"{source}:{line}" if line else source, dotted(self.path)]
        return ": ".join([part for part in where if part] + [self.message])


class FaultyError(ValueError):
    """Faults of a value's parts taken together; a validator raises it with paths relative to the value."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


def dotted(path: Path) -> str:
    """``sweep.space.lr.choices[0]``"""
    return ".".join(path).replace(".[", "[")


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of the path, or of the nearest thing around it that the file has."""
    return next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), 0)


def texts(faults: Iterable[Fault], source: str, lines: Mapping[Path, int]) -> list[str]:
    """One line for each fault, in the order of the file."""
    unique = dict.fromkeys(faults)
    ordered = sorted(unique, key=lambda fault: fault.line or line_of(fault.path, lines))
    return [fault.text(source, lines) for fault in ordered]


def faults_of(
    error: ValidationError, schema: Mapping[str, Any], listed_by: str = "`spotwise schema`"
) -> Iterator[Fault]:
    """Every fault that pydantic found; ``schema`` (the model's JSON Schema) knows which keys are right, and a person
    finds them in ``listed_by``.
    """
    for detail in error.errors(include_url=False):
        yield from _faults_of_detail(detail, schema, listed_by)


def _faults_of_detail(detail: ErrorDetails, schema: Mapping[str, Any], listed_by: str) -> Iterator[Fault]:
    path = tuple(f"[{part}]" if isinstance(part, int) else part for part in detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, FaultyError):
        yield from (Fault((*path, *fault.path), fault.message) for fault in cause.faults)
    elif detail["type"] == "extra_forbidden":
        yield Fault(path, unknown_key(path, schema, listed_by))
    elif detail["type"] == "missing":
        nearest = _meant(meant_type(path, detail["input"]))
        yield Fault(path, f"missing; required: {_description(path, schema)}{nearest}")
    elif cause is not None:
        yield Fault(path, str(cause))
    else:
        yield Fault(path, _found_and_allowed(path, detail))


def _found_and_allowed(path: Path, detail: ErrorDetails) -> str:
    kind, context, found = detail["type"], detail.get("ctx", {}), shown(detail["input"])
    if kind in ("enum", "literal_error"):
        choices = re.findall(r"'([^']*)'", context["expected"])
        nearest = _meant(meant_word(path, detail["input"])) or did_you_mean(str(detail["input"]), choices)
        return f"found {found}; allowed: {', '.join(choices)}{nearest}"
    if kind in _ALLOWED_RANGE:
        return f"found {found}; allowed: {_ALLOWED_RANGE[kind].format_map(context)}"
    allowed = _ALLOWED_TYPE.get(kind.split("_")[0])
    nearest = _meant(meant_mapping(path, detail["input"])) if allowed == _ALLOWED_TYPE["dict"] else ""
    return f"found {found}; allowed: {allowed}{nearest}" if allowed else f"found {found}; {detail['msg']}"


def unknown_key(path: Path, schema: Mapping[str, Any], listed_by: str = "`spotwise schema`") -> str:
    """What to say of a key that nobody knows: the nearest right key, here or elsewhere in the file."""
    keys = keys_at(path[:-1], schema)
    allowed = ", ".join(keys) if len(keys) <= _KEYS_WORTH_LISTING else f"the keys that {listed_by} lists"
    meant = _meant(meant_key(path, keys_at((), schema)))
    nearest = meant or _lives_elsewhere(path[-1], schema) or did_you_mean(path[-1], keys)
    return f"unknown key; allowed: {allowed}{nearest}"


def _meant(form: str) -> str:
    return f"; did you mean {form}" if form else ""


def did_you_mean(found: str, allowed: Sequence[str]) -> str:
    """``; did you mean X`` with the nearest allowed word, or nothing."""
    by_lower = {word.lower(): word for word in allowed}
    nearest = difflib.get_close_matches(found.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[nearest[0]]}" if nearest else ""


def keys_at(path: Path, schema: Mapping[str, Any]) -> list[str]:
    """The keys that a mapping at this path may have."""
    return list(_node(path, schema).get("properties", {}))


def dotted_keys(schema: Mapping[str, Any]) -> list[str]:
    """Every key of a file as a dotted path; ``*`` stands for a name that the user chooses, ``[*]`` for list entries."""
    return [dotted(path) for path in _walk(schema, schema, ())]


def _walk(node: Mapping[str, Any], schema: Mapping[str, Any], above: Path) -> Iterator[Path]:
    whole = _resolve(node, schema)
    for key, child in whole.get("properties", {}).items():
        yield (*above, key)
        yield from _walk(child, schema, (*above, key))
    rest = whole.get("additionalProperties")
    if isinstance(rest, dict) and "$ref" in rest:
        yield from _walk(rest, schema, (*above, "*"))
    if "$ref" in whole.get("items", {}):
        yield from _walk(whole["items"], schema, (*above, "[*]"))


def _lives_elsewhere(key: str, schema: Mapping[str, Any]) -> str:
    homes = [path for path in dotted_keys(schema) if path.endswith(f".{key}")]
    return f"; did you mean {homes[0]}" if homes else ""


def _description(path: Path, schema: Mapping[str, Any]) -> str:
    parent = _node(path[:-1], schema)
    text = str(parent.get("properties", {}).get(path[-1], {}).get("description", "a value"))
    return text[:1].lower() + text[1:].removesuffix(".")


def _node(path: Path, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    node = _resolve(schema, schema)
    for part in path:
        rest = node.get("items") if part.startswith("[") else node.get("additionalProperties")
        child = node.get("properties", {}).get(part, rest if isinstance(rest, dict) else {})
        node = _resolve(child, schema)
    return node


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    target = node.get("$ref")
    return schema["$defs"][target.rsplit("/", 1)[-1]] if target else node


def without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A model's JSON Schema as it holds for files, where a key is left out rather than null."""
    plain = {key: _without_null(value) for key, value in schema.items()}
    options = [option for option in plain.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        plain = {**{key: value for key, value in plain.items() if key != "anyOf"}, **options[0]}
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return without_null(value)
    return [_without_null(entry) for entry in value] if isinstance(value, list) else value
