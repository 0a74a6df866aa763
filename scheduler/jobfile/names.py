"""Names of models and versions: also names of folders, so that no name leads out of the registry."""

from __future__ import annotations

import re

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
NAME_RULE = "up to 100 letters, digits, dots, dashes and underscores, a letter or digit first"


def is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None
