"""What a person names to import from, and who reads it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from ...core.errors import InputError
from .file import is_export, read_export
from .found import FoundStudies, ImportOptions
from .optuna_storage import SQLITE_MAGIC, is_journal, read_journal, read_sqlite, sqlite_path
from .ray_folder import read_ray_folder

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HEAD = 4096  # bytes that say what a file is
_ALLOWED = "an export of spotwise, an Optuna storage (sqlite:///FILE or a journal file) or a folder of Ray Tune"


def read_source(text: str, options: ImportOptions) -> FoundStudies:
    """The studies of an export, an Optuna storage or a Ray Tune folder.

    Raises:
        InputError: it is none of them, cannot be read, or does not say what must be known.
    """
    path = sqlite_path(text) if _URL.match(text) else Path(text).expanduser()
    try:
        return _read(path, options)
    except ImportError as error:
        raise InputError(f'{text}: reading it needs Optuna: pip install "spotwise[tune]" ({error})') from error
    except csv.Error as error:
        raise InputError(f"{text}: a progress.csv is damaged: {error}; move that trial's folder away") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{text}: {error.reason} at byte {error.start}; allowed: {_ALLOWED}") from error
    except OSError as error:
        where = error.filename or path
        raise InputError(f"{where} cannot be read: {error.strerror or error}; allowed: {_ALLOWED}") from error


def _read(path: Path, options: ImportOptions) -> FoundStudies:
    if path.is_dir():
        return read_ray_folder(path.absolute(), options)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(SQLITE_MAGIC) or is_journal(head):
        if options.space is not None:
            raise InputError(f"{path} says its space itself: leave out --space-from")
        return read_sqlite(path, options) if head.startswith(SQLITE_MAGIC) else read_journal(path, options)
    text = path.read_text(encoding="utf-8")
    if not is_export(text):
        raise InputError(f"{path} is nothing that studies can be imported from; allowed: {_ALLOWED}")
    return read_export(text, str(path), options)
