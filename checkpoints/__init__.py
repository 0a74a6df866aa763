"""The training side: what runs next to the user's model.

Needs nothing but the standard library to be imported; torch, numpy and fsspec are loaded where a program uses them.
"""

from .best import BestBy, Better, parse_best_by
from .checkpoint_manager import Restored
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
from .folder import CheckpointFolder, best_checkpoint, latest_checkpoint
from .manifest import Manifest
from .progress import ProgressEvent, ProgressReader, ProgressRecord, ProgressWriter, read_progress, says_finished
from .schedule import Every, TrainingPosition, Unit, parse_every
from .session import Session
from .settings import SessionSettings
from .stop import EXIT_PREEMPTED, EXIT_UNSAVED
from .storage import Storage, storage_for

__all__ = [
    "EXIT_PREEMPTED",
    "EXIT_UNSAVED",
    "BestBy",
    "Better",
    "CheckpointError",
    "CheckpointFolder",
    "CorruptError",
    "Every",
    "Manifest",
    "NoSpaceError",
    "ProgressEvent",
    "ProgressReader",
    "ProgressRecord",
    "ProgressWriter",
    "Restored",
    "SaveError",
    "Session",
    "SessionError",
    "SessionSettings",
    "SettingsError",
    "StateError",
    "Storage",
    "StorageError",
    "TrainingPosition",
    "Unit",
    "best_checkpoint",
    "latest_checkpoint",
    "parse_best_by",
    "parse_every",
    "read_progress",
    "says_finished",
    "storage_for",
]
