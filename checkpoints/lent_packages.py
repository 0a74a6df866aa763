"""Packages that a node's agent lends to programs: what opens a URL may be missing in a job's own Python."""

from __future__ import annotations

import os
import sys
import sysconfig

PACKAGES_VARIABLE = "SPOTWISE_NODE_PACKAGES"


def packages_of_this_python() -> str:
    """What the agent puts into the variable: the Python that its packages are for, and where they are."""
    return f"{_version()}:{sysconfig.get_paths()['purelib']}"


def borrow_packages() -> bool:
    """Let imports that fail look there too, after everything else. False where nothing new can be borrowed."""
    version, _, folder = os.environ.get(PACKAGES_VARIABLE, "").partition(":")
    if version != _version() or not folder or folder in sys.path:
        return False
    sys.path.append(folder)
    return True


def _version() -> str:
    """Compiled packages are for one minor version."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
