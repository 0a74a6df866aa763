"""What can go wrong, as a tree. The message of each says what happened, where, and what to do.

SpotwiseError
├── InputError            exit 2: the user's files or arguments
│   ├── JobFileError      every fault of a YAML file at once
│   ├── NotFoundError     a run, study or model that does not exist
│   └── UnreadableRunError  a run whose record is damaged
├── RefusedError          exit 3: budget or deadline cannot be met
├── EngineError           an engine could not do what it was asked
│   └── CapacityError     no capacity in this pool right now
├── LeaseLostError        another supervisor holds this run
└── StoreError            the store cannot be read or written
    └── StoreTooNewError  exit 2: a newer spotwise wrote it
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    BAD_INPUT = 2
    REFUSED = 3
    RUN_FAILED = 4
    NOTHING_TO_DO = 5
    LATE = 6  # all work was done, after the deadline
    INTERNAL = 70


class SpotwiseError(Exception):
    """A fault of spotwise itself unless a subclass says otherwise."""

    exit_code = ExitCode.INTERNAL


class InputError(SpotwiseError):
    """The user's files or arguments cannot be used as they are."""

    exit_code = ExitCode.BAD_INPUT


class JobFileError(InputError):
    """A YAML file has faults; ``faults`` holds one line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotFoundError(InputError):
    """What was named does not exist."""


class UnreadableRunError(InputError):
    """What is kept of a run cannot be read. Others are not touched by it."""

    def __init__(self, run_id: str, why: str) -> None:
        self.run_id, self.why = run_id, why
        super().__init__(
            f"run {run_id} cannot be read ({why}): `spotwise cancel {run_id}` ends it, "
            f"`spotwise cancel --remove {run_id}` then removes its record"
        )


class RefusedError(SpotwiseError):
    """The terms cannot be met; the message names the nearest that would work."""

    exit_code = ExitCode.REFUSED


class EngineError(SpotwiseError):
    """An engine could not do what it was asked."""

    exit_code = ExitCode.RUN_FAILED


class CapacityError(EngineError):
    """No capacity in this pool right now. Nothing was started, nothing is billed."""


class LeaseLostError(SpotwiseError):
    """Another supervisor took over this run; this one must not act on it any more."""


class StoreError(SpotwiseError):
    """The store cannot be read or written."""


class StoreTooNewError(StoreError):
    """A newer spotwise wrote the store; nothing of it was changed."""

    exit_code = ExitCode.BAD_INPUT
