"""Paths of this machine that a job file names: beside the file, else in the current folder, where SkyPilot looks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def beside(given: str, job_file: Path, is_there: Callable[[Path], bool]) -> Path:
    """The whole path of what a job file calls ``given``."""
    path = expanded(given)
    here = (job_file.parent / path).absolute()
    return Path(os.path.normpath(here if is_there(here) else path.absolute()))


def expanded(given: str) -> Path:
    """With ``~`` as a home, unless there is no such user."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        return Path(given)


def exists(path: Path) -> bool:
    """Whether something is there that we can see; a name that no file system takes is nowhere."""
    try:
        return path.exists()
    except OSError:  # too long, behind a folder that we may not enter
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder that we can see."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether it is a file that we can see."""
    try:
        return path.is_file()
    except OSError:
        return False
