"""Values as JSON can hold them."""

from __future__ import annotations

import json
import math
from typing import Any


def finite_json(value: Any) -> Any:
    """The same with null for every number that is infinite or not a number, which JSON does not have.

    Args:
        value: of mappings, lists, tuples and scalars; tuples become lists.
    """
    if isinstance(value, dict):
        return {key: finite_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def stored_object(text: str) -> dict[str, Any]:
    """The JSON object that the store keeps as a text; {} where it is damaged: what it says is for information."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
