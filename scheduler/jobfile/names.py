"""Names of models, versions and variables. The first two name folders too: none may lead out of the registry."""

from __future__ import annotations

import re

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
VARIABLE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"  # of an environment
NAME_RULE = "up to 100 letters, digits, dots, dashes and underscores, a letter or digit first"


def is_name(name: str) -> bool:
    """Whether it may be the name of a model or a version."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def is_variable(name: str) -> bool:
    """Whether a shell can read an environment variable of this name."""
    return re.fullmatch(VARIABLE_PATTERN, name) is not None
