"""What can go wrong on the training side, as a tree. Each message says what happened, where, and what to do.

CheckpointError
├── SettingsError    an environment variable that cannot be read
├── SessionError     Session is called in an order that cannot be resumed
├── StateError       a state that cannot be saved safely, or does not fit the objects it is loaded into
├── CorruptError     a checkpoint that is torn, truncated or altered
├── StorageError     the place where checkpoints live cannot be read or reached
└── SaveError        a checkpoint could not be written; the one before it is untouched
    └── NoSpaceError     because the disk is full
"""

from __future__ import annotations


class CheckpointError(Exception):
    """Root of everything that the training side raises."""


class SettingsError(CheckpointError):
    """An environment variable set by the scheduler (or by hand) cannot be read."""


class SessionError(CheckpointError):
    """Session is called in an order from which training could not be resumed exactly."""


class StateError(CheckpointError):
    """A state holds values that cannot be saved safely, or does not fit what it is loaded into."""


class CorruptError(CheckpointError):
    """A checkpoint's files are missing, or differ from what its manifest says."""


class StorageError(CheckpointError):
    """The place where checkpoints or progress live cannot be read or reached."""


class SaveError(CheckpointError):
    """A checkpoint could not be written. Nothing of it is left; the one before it is untouched."""


class NoSpaceError(SaveError):
    """The disk (or the quota) is full."""
