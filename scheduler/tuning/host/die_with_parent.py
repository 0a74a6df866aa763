"""Starts a command that must not outlive its parent: ``python -I -S die_with_parent.py PARENT_PID COMMAND...``.

The kernel then sends the command SIGTERM when the parent dies, so that it saves and leaves. This is a program of its
own because the kernel takes the request only from the child itself, and running Python between fork and exec in a
process with threads, as Ray's are, may hang. It imports nothing of spotwise: it has to start in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PARENT_GONE = 75


def main(parent: int, command: list[str]) -> None:
    """Ask the kernel to end this process with its parent, then become the command. Returns never."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit(PARENT_GONE)
    os.execvp(command[0], command)  # noqa: S606 - the command names its own shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
