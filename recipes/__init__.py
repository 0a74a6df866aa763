"""Ready-to-run training jobs. Each folder holds a script that anyone can read, and the YAML that submits it."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def recipe_names() -> list[str]:
    """Names of all recipes that come with spotwise."""
    return sorted(job.parent.name for job in _HERE.glob("*/job.yaml"))


def recipe_folder(name: str) -> Path:
    """The folder with a recipe's ``train.py`` and ``job.yaml``. Raises ``KeyError`` naming those that exist."""
    if name not in recipe_names():
        raise KeyError(f"There is no recipe {name!r}; there are: {', '.join(recipe_names())}")
    return _HERE / name
