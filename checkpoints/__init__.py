"""The training side: what runs next to the user's model.

Needs nothing but the standard library to be imported; torch, numpy and fsspec are loaded where a program uses them.
"""

from .errors import (
    CheckpointError,
    CorruptError,
    NoSpaceError,
    SaveError,
    SessionError,
    SettingsError,
    StateError,
    StorageError,
)
from .folder import CheckpointFolder, latest_checkpoint
from .keeper import Restored
from .manifest import Manifest
from .progress import ProgressEvent, ProgressReader, ProgressRecord, ProgressWriter, read_progress
from .schedule import Every, Position, Unit, parse_every
from .session import Session
from .settings import Settings
from .stop import EXIT_PREEMPTED, EXIT_UNSAVED
from .storage import Storage, storage_for

__all__ = [
    "EXIT_PREEMPTED",
    "EXIT_UNSAVED",
    "CheckpointError",
    "CheckpointFolder",
    "CorruptError",
    "Every",
    "Manifest",
    "NoSpaceError",
    "Position",
    "ProgressEvent",
    "ProgressReader",
    "ProgressRecord",
    "ProgressWriter",
    "Restored",
    "SaveError",
    "Session",
    "SessionError",
    "Settings",
    "SettingsError",
    "StateError",
    "Storage",
    "StorageError",
    "Unit",
    "latest_checkpoint",
    "parse_every",
    "read_progress",
    "storage_for",
]
