"""The nearest right form of a value that is none: people write ``goal: max``, or a list where choices belong.

Words that only look alike are found by their letters (`did_you_mean`); these are the ones that mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import skypilot_keys
from .quantities import shown

KeyPath = tuple[str, ...]
_SPACE = ("sweep", "space")

_GOALS = {
    "max": "maximize", "highest": "maximize", "higher": "maximize", "up": "maximize", "increase": "maximize",
    "min": "minimize", "lowest": "minimize", "lower": "minimize", "down": "minimize", "decrease": "minimize",
}  # fmt: skip
_TYPES = {
    "uniform": "type: float", "real": "type: float", "double": "type: float", "number": "type: float",
    "loguniform": "type: float with log: true", "log_uniform": "type: float with log: true",
    "log": "type: float with log: true", "logfloat": "type: float with log: true",
    "quniform": "type: float with step", "randint": "type: int", "integer": "type: int", "int_uniform": "type: int",
    "lograndint": "type: int with log: true", "logint": "type: int with log: true",
    "int_log_uniform": "type: int with log: true", "qrandint": "type: int with step",
    "choice": "type: categorical", "choices": "type: categorical", "enum": "type: categorical",
    "list": "type: categorical", "bool": "type: categorical with choices: [true, false]",
    "boolean": "type: categorical with choices: [true, false]", "grid_search": "type: categorical",
}  # fmt: skip
_POLICIES = {
    "ondemand": "on_demand", "on-demand": "on_demand", "default": "auto", "cheap": "cheapest",
    "cost": "cheapest", "price": "cheapest", "fastest": "deadline",
}  # fmt: skip
_KEYS = {
    "min": "low", "lower": "low", "start": "low", "from": "low", "max": "high", "upper": "high", "end": "high",
    "values": "choices", "options": "choices", "categories": "choices", "distribution": "type", "q": "step",
    "scale": "log", "dist": "type",
}  # fmt: skip
_TOP_KEYS = {
    "command": "run", "cmd": "run", "script": "run", "entrypoint": "run", "args": "run", "env": "envs",
    "environment": "envs", "nodes": "num_nodes", "gpu": "resources.accelerators",
    "accelerator": "resources.accelerators",
    "hyperparameters": "sweep.space", "params": "sweep.space", "parameters": "sweep.space",
    "search_space": "sweep.space",
    "cost": "budget", "max_cost": "budget", "spot": "resources.use_spot", "dependencies": "setup", "install": "setup",
    "mounts": "file_mounts", "image": "resources.image_id", "docker_image": "resources.image_id",
}  # fmt: skip

# What a mapping may be written as by whoever thinks of its first key only.
_FIRST_KEYS = {
    ("checkpoint",): "every", ("sweep", "early_stopping"): "type", ("resources",): "accelerators",
    ("retrain", "triggers"): "calendar", ("retrain", "triggers", "calendar"): "at", ("retrain", "gate"): "metric",
    ("sweep", "stop_when"): "gain_below", ("sweep", "task"): "data", ("work",): "hours",
}  # fmt: skip


def meant_key(path: KeyPath, top_keys: Sequence[str]) -> str:
    """The key that an unknown one was probably meant to be; "" where none is known.

    Args:
        top_keys: those of the file: settings have others than jobs.
    """
    key = path[-1]
    if len(path) == 4 and path[:2] == _SPACE:
        return _KEYS.get(key, "")
    if len(path) > 1:
        return ""
    found = _TOP_KEYS.get(key, "")
    if not found and (key in skypilot_keys.RESOURCE_KEYS or key in skypilot_keys.RESOURCE_ALIASES):
        found = f"resources.{key}"
    return found if found.partition(".")[0] in top_keys else ""


def meant_word(path: KeyPath, value: object) -> str:
    """The word that another one, which is not allowed, was probably meant to be; "" where none is known."""
    word = str(value).lower()
    if path[-1] == "goal":
        return _GOALS.get(word, "")
    if path[:2] == _SPACE and path[-1] == "type":
        return _TYPES.get(word, "")
    return _POLICIES.get(word, "") if path == ("policy",) else ""


def meant_mapping(path: KeyPath, value: object) -> str:
    """The mapping that something else was probably meant to be; "" where none is known."""
    if len(path) == 3 and path[:2] == _SPACE:
        choices = _written(value) if isinstance(value, list) else f"[{_written(value)}]"
        return f"{path[-1]}: {{type: categorical, choices: {choices}}}"
    first = _FIRST_KEYS.get(path)
    return f"{path[-1]}: {{{first}: {_written(value)}}}" if first and not isinstance(value, bool) else ""


def meant_type(path: KeyPath, parameter: object) -> str:
    """The type that a hyperparameter without one was probably meant to have; "" where it is none."""
    if len(path) != 4 or path[:2] != _SPACE or path[-1] != "type" or not isinstance(parameter, dict):
        return ""
    return "type: categorical" if "choices" in parameter or "values" in parameter else "type: float or type: int"


def forgotten_indentation(data: Mapping[str, Any], key: str, children: Sequence[str]) -> str:
    """A hint for a key without a value whose own keys stand beside it; "" where none do."""
    beside = [child for child in children if child in data and child != key]
    return f"; did you mean to put more spaces before {', '.join(beside)}, which belong below it" if beside else ""


def _written(value: object) -> str:
    """As one writes it in YAML, for a hint: short."""
    if isinstance(value, list):
        return f"[{', '.join(_written(one) for one in value[:6])}{', ...' if len(value) > 6 else ''}]"
    return value if isinstance(value, str) and len(value) < 40 else shown(value)
