"""Why an attempt ended, as a value: nodes write it, engines observe it, the store keeps it. Texts are for people."""

from __future__ import annotations

from enum import StrEnum


class EndCause(StrEnum):
    """Why an attempt ended, as a fact."""

    EXITED = "exited"  # the command ended by itself; see exit_code
    PREEMPTED = "preempted"  # the market took the capacity
    TERMINATED = "terminated"  # the engine was told to end it
    VANISHED = "vanished"  # the machine is gone and nobody knows why
    NO_CAPACITY = "no_capacity"  # never came up for want of capacity: nothing is billed
    WITHDRAWN = "withdrawn"  # given up by us before a machine was there: nothing is billed, nothing learned of capacity
    SETUP_FAILED = "setup_failed"  # the job's setup command failed; see exit_code
    LAUNCH_FAILED = "launch_failed"  # never came up, and not for want of capacity: trying elsewhere may not help
    NOT_OFFERED = "not_offered"  # this place does not take what is asked for: nothing is billed, others may take it
    UNLAUNCHABLE = "unlaunchable"  # as it is asked for it can never run: trying again changes nothing
