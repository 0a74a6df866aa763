"""Starting from a recipe: a script anyone can read, and the job file that submits it."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

from spotwise.recipes import recipe_folder, recipe_names

from ..core.errors import InputError, NotFoundError


def recipe_lines() -> list[str]:
    """Name and first sentence of each recipe."""
    return [f"{name:20s} {_first_sentence(recipe_folder(name) / 'train.py')}" for name in recipe_names()]


def copy_recipe(name: str, to: Path) -> Path:
    """Copy a recipe's files into a new folder.

    Raises:
        NotFoundError: there is no such recipe.
        InputError: the folder is there already.
    """
    if name not in recipe_names():
        nearest = difflib.get_close_matches(name, recipe_names(), n=1)
        hint = f"; did you mean {nearest[0]}" if nearest else ""
        raise NotFoundError(f"there is no recipe {name!r}; there are: {', '.join(recipe_names())}{hint}")
    if to.exists():
        raise InputError(f"{to} exists already: choose another folder with --to")
    to.mkdir(parents=True)
    for file in ("train.py", "job.yaml"):
        shutil.copyfile(recipe_folder(name) / file, to / file)
    return to


def _first_sentence(script: Path) -> str:
    return script.read_text(encoding="utf-8").partition('"""')[2].partition("\n")[0]
